from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verb(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERB_UNSPECIFIED: _ClassVar[Verb]
    VERB_ACK: _ClassVar[Verb]
    VERB_NACK: _ClassVar[Verb]
    VERB_RELEASE: _ClassVar[Verb]
    VERB_DEAD_LETTER: _ClassVar[Verb]
VERB_UNSPECIFIED: Verb
VERB_ACK: Verb
VERB_NACK: Verb
VERB_RELEASE: Verb
VERB_DEAD_LETTER: Verb

class Record(_message.Message):
    __slots__ = ("format", "commands")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    format: int
    commands: _containers.RepeatedCompositeFieldContainer[Command]
    def __init__(self, format: _Optional[int] = ..., commands: _Optional[_Iterable[_Union[Command, _Mapping]]] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("session", "sequence", "open", "close", "tick", "assign_partitions", "partitions_added", "publish", "receive", "revoke", "settle", "extend", "set_policy", "purge", "end_dead_letters", "vanished", "undecodable", "relocate", "clean", "janitor")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    ASSIGN_PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_ADDED_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_FIELD_NUMBER: _ClassVar[int]
    REVOKE_FIELD_NUMBER: _ClassVar[int]
    SETTLE_FIELD_NUMBER: _ClassVar[int]
    EXTEND_FIELD_NUMBER: _ClassVar[int]
    SET_POLICY_FIELD_NUMBER: _ClassVar[int]
    PURGE_FIELD_NUMBER: _ClassVar[int]
    END_DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    VANISHED_FIELD_NUMBER: _ClassVar[int]
    UNDECODABLE_FIELD_NUMBER: _ClassVar[int]
    RELOCATE_FIELD_NUMBER: _ClassVar[int]
    CLEAN_FIELD_NUMBER: _ClassVar[int]
    JANITOR_FIELD_NUMBER: _ClassVar[int]
    session: int
    sequence: int
    open: Open
    close: Close
    tick: Tick
    assign_partitions: AssignPartitions
    partitions_added: PartitionsAdded
    publish: Publish
    receive: Receive
    revoke: Revoke
    settle: Settle
    extend: Extend
    set_policy: SetPolicy
    purge: Purge
    end_dead_letters: EndDeadLetters
    vanished: Vanished
    undecodable: Undecodable
    relocate: Relocate
    clean: Clean
    janitor: Janitor
    def __init__(self, session: _Optional[int] = ..., sequence: _Optional[int] = ..., open: _Optional[_Union[Open, _Mapping]] = ..., close: _Optional[_Union[Close, _Mapping]] = ..., tick: _Optional[_Union[Tick, _Mapping]] = ..., assign_partitions: _Optional[_Union[AssignPartitions, _Mapping]] = ..., partitions_added: _Optional[_Union[PartitionsAdded, _Mapping]] = ..., publish: _Optional[_Union[Publish, _Mapping]] = ..., receive: _Optional[_Union[Receive, _Mapping]] = ..., revoke: _Optional[_Union[Revoke, _Mapping]] = ..., settle: _Optional[_Union[Settle, _Mapping]] = ..., extend: _Optional[_Union[Extend, _Mapping]] = ..., set_policy: _Optional[_Union[SetPolicy, _Mapping]] = ..., purge: _Optional[_Union[Purge, _Mapping]] = ..., end_dead_letters: _Optional[_Union[EndDeadLetters, _Mapping]] = ..., vanished: _Optional[_Union[Vanished, _Mapping]] = ..., undecodable: _Optional[_Union[Undecodable, _Mapping]] = ..., relocate: _Optional[_Union[Relocate, _Mapping]] = ..., clean: _Optional[_Union[Clean, _Mapping]] = ..., janitor: _Optional[_Union[Janitor, _Mapping]] = ...) -> None: ...

class Open(_message.Message):
    __slots__ = ("quantum", "max_attempts", "dedup_window_ms", "dead_letter_retention_ms", "max_partitions", "partitions_step", "hashed_partitions")
    QUANTUM_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DEDUP_WINDOW_MS_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_RETENTION_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_STEP_FIELD_NUMBER: _ClassVar[int]
    HASHED_PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    quantum: int
    max_attempts: int
    dedup_window_ms: int
    dead_letter_retention_ms: int
    max_partitions: int
    partitions_step: int
    hashed_partitions: int
    def __init__(self, quantum: _Optional[int] = ..., max_attempts: _Optional[int] = ..., dedup_window_ms: _Optional[int] = ..., dead_letter_retention_ms: _Optional[int] = ..., max_partitions: _Optional[int] = ..., partitions_step: _Optional[int] = ..., hashed_partitions: _Optional[int] = ...) -> None: ...

class Close(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Tick(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AssignPartitions(_message.Message):
    __slots__ = ("customers", "share")
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    customers: _containers.RepeatedScalarFieldContainer[str]
    share: bool
    def __init__(self, customers: _Optional[_Iterable[str]] = ..., share: _Optional[bool] = ...) -> None: ...

class PartitionsAdded(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class Publish(_message.Message):
    __slots__ = ("customers", "partitions", "epochs", "base_offsets", "sizes", "costs", "keyed", "keys")
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    BASE_OFFSETS_FIELD_NUMBER: _ClassVar[int]
    SIZES_FIELD_NUMBER: _ClassVar[int]
    COSTS_FIELD_NUMBER: _ClassVar[int]
    KEYED_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    customers: _containers.RepeatedScalarFieldContainer[str]
    partitions: _containers.RepeatedScalarFieldContainer[int]
    epochs: _containers.RepeatedScalarFieldContainer[int]
    base_offsets: _containers.RepeatedScalarFieldContainer[int]
    sizes: _containers.RepeatedScalarFieldContainer[int]
    costs: _containers.RepeatedScalarFieldContainer[int]
    keyed: _containers.RepeatedScalarFieldContainer[int]
    keys: bytes
    def __init__(self, customers: _Optional[_Iterable[str]] = ..., partitions: _Optional[_Iterable[int]] = ..., epochs: _Optional[_Iterable[int]] = ..., base_offsets: _Optional[_Iterable[int]] = ..., sizes: _Optional[_Iterable[int]] = ..., costs: _Optional[_Iterable[int]] = ..., keyed: _Optional[_Iterable[int]] = ..., keys: _Optional[bytes] = ...) -> None: ...

class Receive(_message.Message):
    __slots__ = ("max_messages", "lease_ms", "wait_ms")
    MAX_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    max_messages: int
    lease_ms: int
    wait_ms: int
    def __init__(self, max_messages: _Optional[int] = ..., lease_ms: _Optional[int] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class Revoke(_message.Message):
    __slots__ = ("receive_sequence",)
    RECEIVE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    receive_sequence: int
    def __init__(self, receive_sequence: _Optional[int] = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("session", "sequence", "serials")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SERIALS_FIELD_NUMBER: _ClassVar[int]
    session: int
    sequence: int
    serials: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, session: _Optional[int] = ..., sequence: _Optional[int] = ..., serials: _Optional[_Iterable[int]] = ...) -> None: ...

class Settle(_message.Message):
    __slots__ = ("verb", "held", "delay_ms", "reason")
    VERB_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    verb: Verb
    held: _containers.RepeatedCompositeFieldContainer[Held]
    delay_ms: int
    reason: str
    def __init__(self, verb: _Optional[_Union[Verb, str]] = ..., held: _Optional[_Iterable[_Union[Held, _Mapping]]] = ..., delay_ms: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Extend(_message.Message):
    __slots__ = ("held", "lease_ms")
    HELD_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    held: _containers.RepeatedCompositeFieldContainer[Held]
    lease_ms: int
    def __init__(self, held: _Optional[_Iterable[_Union[Held, _Mapping]]] = ..., lease_ms: _Optional[int] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("weight", "paused")
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    weight: int
    paused: bool
    def __init__(self, weight: _Optional[int] = ..., paused: _Optional[bool] = ...) -> None: ...

class SetPolicy(_message.Message):
    __slots__ = ("customer", "policy")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    customer: str
    policy: Policy
    def __init__(self, customer: _Optional[str] = ..., policy: _Optional[_Union[Policy, _Mapping]] = ...) -> None: ...

class Purge(_message.Message):
    __slots__ = ("customer",)
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    customer: str
    def __init__(self, customer: _Optional[str] = ...) -> None: ...

class EndDeadLetters(_message.Message):
    __slots__ = ("customer", "all", "serials", "redrive")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    SERIALS_FIELD_NUMBER: _ClassVar[int]
    REDRIVE_FIELD_NUMBER: _ClassVar[int]
    customer: str
    all: bool
    serials: _containers.RepeatedScalarFieldContainer[int]
    redrive: bool
    def __init__(self, customer: _Optional[str] = ..., all: _Optional[bool] = ..., serials: _Optional[_Iterable[int]] = ..., redrive: _Optional[bool] = ...) -> None: ...

class Ref(_message.Message):
    __slots__ = ("topic", "partition", "offset")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    topic: int
    partition: int
    offset: int
    def __init__(self, topic: _Optional[int] = ..., partition: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class Vanished(_message.Message):
    __slots__ = ("serials", "sources")
    SERIALS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    serials: _containers.RepeatedScalarFieldContainer[int]
    sources: _containers.RepeatedCompositeFieldContainer[Ref]
    def __init__(self, serials: _Optional[_Iterable[int]] = ..., sources: _Optional[_Iterable[_Union[Ref, _Mapping]]] = ...) -> None: ...

class Undecodable(_message.Message):
    __slots__ = ("held",)
    HELD_FIELD_NUMBER: _ClassVar[int]
    held: _containers.RepeatedCompositeFieldContainer[Held]
    def __init__(self, held: _Optional[_Iterable[_Union[Held, _Mapping]]] = ...) -> None: ...

class Relocate(_message.Message):
    __slots__ = ("serials", "sources", "targets")
    SERIALS_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    serials: _containers.RepeatedScalarFieldContainer[int]
    sources: _containers.RepeatedCompositeFieldContainer[Ref]
    targets: _containers.RepeatedCompositeFieldContainer[Ref]
    def __init__(self, serials: _Optional[_Iterable[int]] = ..., sources: _Optional[_Iterable[_Union[Ref, _Mapping]]] = ..., targets: _Optional[_Iterable[_Union[Ref, _Mapping]]] = ...) -> None: ...

class Clean(_message.Message):
    __slots__ = ("topic", "partition", "up_to", "orphans")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    UP_TO_FIELD_NUMBER: _ClassVar[int]
    ORPHANS_FIELD_NUMBER: _ClassVar[int]
    topic: int
    partition: int
    up_to: int
    orphans: bool
    def __init__(self, topic: _Optional[int] = ..., partition: _Optional[int] = ..., up_to: _Optional[int] = ..., orphans: _Optional[bool] = ...) -> None: ...

class Janitor(_message.Message):
    __slots__ = ("ms",)
    MS_FIELD_NUMBER: _ClassVar[int]
    ms: int
    def __init__(self, ms: _Optional[int] = ...) -> None: ...
