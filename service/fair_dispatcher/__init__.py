"""The process around the dispatcher: its command line and its demo."""
