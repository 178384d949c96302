from fair_kafka.ledger import ledger_pb2 as _ledger_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Snapshot(_message.Message):
    __slots__ = ("format", "applied_offset", "now_ms", "janitor_session", "janitor_until_ms", "customers", "policies", "entries", "deaths", "ring", "deficits", "visiting", "sessions", "last_retention_ms", "waiters", "known", "logs", "places")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    APPLIED_OFFSET_FIELD_NUMBER: _ClassVar[int]
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    JANITOR_SESSION_FIELD_NUMBER: _ClassVar[int]
    JANITOR_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    DEATHS_FIELD_NUMBER: _ClassVar[int]
    RING_FIELD_NUMBER: _ClassVar[int]
    DEFICITS_FIELD_NUMBER: _ClassVar[int]
    VISITING_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    LAST_RETENTION_MS_FIELD_NUMBER: _ClassVar[int]
    WAITERS_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    format: int
    applied_offset: int
    now_ms: int
    janitor_session: int
    janitor_until_ms: int
    customers: _containers.RepeatedCompositeFieldContainer[CustomerState]
    policies: _containers.RepeatedCompositeFieldContainer[PolicyState]
    entries: Entries
    deaths: int
    ring: _containers.RepeatedScalarFieldContainer[str]
    deficits: _containers.RepeatedScalarFieldContainer[int]
    visiting: bool
    sessions: _containers.RepeatedCompositeFieldContainer[SessionState]
    last_retention_ms: int
    waiters: _containers.RepeatedCompositeFieldContainer[WaiterState]
    known: _containers.RepeatedCompositeFieldContainer[Known]
    logs: _containers.RepeatedCompositeFieldContainer[LogState]
    places: PlacesState
    def __init__(self, format: _Optional[int] = ..., applied_offset: _Optional[int] = ..., now_ms: _Optional[int] = ..., janitor_session: _Optional[int] = ..., janitor_until_ms: _Optional[int] = ..., customers: _Optional[_Iterable[_Union[CustomerState, _Mapping]]] = ..., policies: _Optional[_Iterable[_Union[PolicyState, _Mapping]]] = ..., entries: _Optional[_Union[Entries, _Mapping]] = ..., deaths: _Optional[int] = ..., ring: _Optional[_Iterable[str]] = ..., deficits: _Optional[_Iterable[int]] = ..., visiting: _Optional[bool] = ..., sessions: _Optional[_Iterable[_Union[SessionState, _Mapping]]] = ..., last_retention_ms: _Optional[int] = ..., waiters: _Optional[_Iterable[_Union[WaiterState, _Mapping]]] = ..., known: _Optional[_Iterable[_Union[Known, _Mapping]]] = ..., logs: _Optional[_Iterable[_Union[LogState, _Mapping]]] = ..., places: _Optional[_Union[PlacesState, _Mapping]] = ...) -> None: ...

class CustomerState(_message.Message):
    __slots__ = ("name", "fresh", "taken")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FRESH_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    name: str
    fresh: bytes
    taken: int
    def __init__(self, name: _Optional[str] = ..., fresh: _Optional[bytes] = ..., taken: _Optional[int] = ...) -> None: ...

class PolicyState(_message.Message):
    __slots__ = ("customer", "policy")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    customer: str
    policy: _ledger_pb2.Policy
    def __init__(self, customer: _Optional[str] = ..., policy: _Optional[_Union[_ledger_pb2.Policy, _Mapping]] = ...) -> None: ...

class Entries(_message.Message):
    __slots__ = ("serials", "customers", "logs", "offsets", "costs", "published_ms", "attempts", "states", "due_ms", "leases_of", "leases", "reasons", "died_ms", "numbers")
    SERIALS_FIELD_NUMBER: _ClassVar[int]
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    OFFSETS_FIELD_NUMBER: _ClassVar[int]
    COSTS_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_MS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    DUE_MS_FIELD_NUMBER: _ClassVar[int]
    LEASES_OF_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    DIED_MS_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    serials: _containers.RepeatedScalarFieldContainer[int]
    customers: _containers.RepeatedScalarFieldContainer[int]
    logs: _containers.RepeatedScalarFieldContainer[int]
    offsets: _containers.RepeatedScalarFieldContainer[int]
    costs: _containers.RepeatedScalarFieldContainer[int]
    published_ms: _containers.RepeatedScalarFieldContainer[int]
    attempts: _containers.RepeatedScalarFieldContainer[int]
    states: _containers.RepeatedScalarFieldContainer[int]
    due_ms: _containers.RepeatedScalarFieldContainer[int]
    leases_of: _containers.RepeatedScalarFieldContainer[int]
    leases: _containers.RepeatedCompositeFieldContainer[LeaseState]
    reasons: _containers.RepeatedScalarFieldContainer[str]
    died_ms: _containers.RepeatedScalarFieldContainer[int]
    numbers: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, serials: _Optional[_Iterable[int]] = ..., customers: _Optional[_Iterable[int]] = ..., logs: _Optional[_Iterable[int]] = ..., offsets: _Optional[_Iterable[int]] = ..., costs: _Optional[_Iterable[int]] = ..., published_ms: _Optional[_Iterable[int]] = ..., attempts: _Optional[_Iterable[int]] = ..., states: _Optional[_Iterable[int]] = ..., due_ms: _Optional[_Iterable[int]] = ..., leases_of: _Optional[_Iterable[int]] = ..., leases: _Optional[_Iterable[_Union[LeaseState, _Mapping]]] = ..., reasons: _Optional[_Iterable[str]] = ..., died_ms: _Optional[_Iterable[int]] = ..., numbers: _Optional[_Iterable[int]] = ...) -> None: ...

class LeaseState(_message.Message):
    __slots__ = ("session", "sequence", "max_attempts")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    session: int
    sequence: int
    max_attempts: int
    def __init__(self, session: _Optional[int] = ..., sequence: _Optional[int] = ..., max_attempts: _Optional[int] = ...) -> None: ...

class SessionState(_message.Message):
    __slots__ = ("session", "settings", "floor", "beyond", "last_seen_ms")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    FLOOR_FIELD_NUMBER: _ClassVar[int]
    BEYOND_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_MS_FIELD_NUMBER: _ClassVar[int]
    session: int
    settings: _ledger_pb2.Open
    floor: int
    beyond: _containers.RepeatedScalarFieldContainer[int]
    last_seen_ms: int
    def __init__(self, session: _Optional[int] = ..., settings: _Optional[_Union[_ledger_pb2.Open, _Mapping]] = ..., floor: _Optional[int] = ..., beyond: _Optional[_Iterable[int]] = ..., last_seen_ms: _Optional[int] = ...) -> None: ...

class WaiterState(_message.Message):
    __slots__ = ("session", "sequence", "receive", "deadline_ms")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    session: int
    sequence: int
    receive: _ledger_pb2.Receive
    deadline_ms: int
    def __init__(self, session: _Optional[int] = ..., sequence: _Optional[int] = ..., receive: _Optional[_Union[_ledger_pb2.Receive, _Mapping]] = ..., deadline_ms: _Optional[int] = ...) -> None: ...

class Known(_message.Message):
    __slots__ = ("until_ms", "keys", "serials")
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    SERIALS_FIELD_NUMBER: _ClassVar[int]
    until_ms: int
    keys: bytes
    serials: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, until_ms: _Optional[int] = ..., keys: _Optional[bytes] = ..., serials: _Optional[_Iterable[int]] = ...) -> None: ...

class LogState(_message.Message):
    __slots__ = ("topic", "partition", "end", "released")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    topic: int
    partition: int
    end: int
    released: int
    def __init__(self, topic: _Optional[int] = ..., partition: _Optional[int] = ..., end: _Optional[int] = ..., released: _Optional[int] = ...) -> None: ...

class PlacesState(_message.Message):
    __slots__ = ("hashed", "most", "step", "wanted", "partitions", "customers", "numbers", "free", "reserved", "reserved_until_ms")
    HASHED_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    FREE_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    RESERVED_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    hashed: int
    most: int
    step: int
    wanted: int
    partitions: _containers.RepeatedCompositeFieldContainer[PartitionState]
    customers: _containers.RepeatedScalarFieldContainer[str]
    numbers: _containers.RepeatedScalarFieldContainer[int]
    free: _containers.RepeatedScalarFieldContainer[int]
    reserved: _containers.RepeatedScalarFieldContainer[str]
    reserved_until_ms: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, hashed: _Optional[int] = ..., most: _Optional[int] = ..., step: _Optional[int] = ..., wanted: _Optional[int] = ..., partitions: _Optional[_Iterable[_Union[PartitionState, _Mapping]]] = ..., customers: _Optional[_Iterable[str]] = ..., numbers: _Optional[_Iterable[int]] = ..., free: _Optional[_Iterable[int]] = ..., reserved: _Optional[_Iterable[str]] = ..., reserved_until_ms: _Optional[_Iterable[int]] = ...) -> None: ...

class PartitionState(_message.Message):
    __slots__ = ("epoch", "owners", "live")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    OWNERS_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    owners: _containers.RepeatedScalarFieldContainer[str]
    live: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, epoch: _Optional[int] = ..., owners: _Optional[_Iterable[str]] = ..., live: _Optional[_Iterable[int]] = ...) -> None: ...

class Piece(_message.Message):
    __slots__ = ("applied_offset", "index", "count", "checksum", "data")
    APPLIED_OFFSET_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    applied_offset: int
    index: int
    count: int
    checksum: int
    data: bytes
    def __init__(self, applied_offset: _Optional[int] = ..., index: _Optional[int] = ..., count: _Optional[int] = ..., checksum: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...
