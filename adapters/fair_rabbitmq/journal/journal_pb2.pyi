from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Record(_message.Message):
    __slots__ = ("dispatcher", "number", "written_at", "snapshot", "events")
    DISPATCHER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_AT_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    dispatcher: str
    number: int
    written_at: int
    snapshot: int
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, dispatcher: _Optional[str] = ..., number: _Optional[int] = ..., written_at: _Optional[int] = ..., snapshot: _Optional[int] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("customer_seen", "customer_retired", "customer_removed", "policy_set", "purged", "handed_over", "extended", "ended", "released", "returned", "delayed", "due", "died", "reviving", "revived", "dead_removed", "alive", "gone", "barrier", "note", "snapshot_begins", "snapshot_part", "snapshot_ends", "reviving_failed")
    CUSTOMER_SEEN_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_RETIRED_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_REMOVED_FIELD_NUMBER: _ClassVar[int]
    POLICY_SET_FIELD_NUMBER: _ClassVar[int]
    PURGED_FIELD_NUMBER: _ClassVar[int]
    HANDED_OVER_FIELD_NUMBER: _ClassVar[int]
    EXTENDED_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    DELAYED_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    DIED_FIELD_NUMBER: _ClassVar[int]
    REVIVING_FIELD_NUMBER: _ClassVar[int]
    REVIVED_FIELD_NUMBER: _ClassVar[int]
    DEAD_REMOVED_FIELD_NUMBER: _ClassVar[int]
    ALIVE_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    BARRIER_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_BEGINS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_PART_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_ENDS_FIELD_NUMBER: _ClassVar[int]
    REVIVING_FAILED_FIELD_NUMBER: _ClassVar[int]
    customer_seen: Generation
    customer_retired: Generation
    customer_removed: Generation
    policy_set: Policy
    purged: str
    handed_over: Timed
    extended: Timed
    ended: Ids
    released: Ids
    returned: Ids
    delayed: Timed
    due: Pairs
    died: Deaths
    reviving: Pairs
    revived: Pairs
    dead_removed: Pairs
    alive: bool
    gone: str
    barrier: int
    note: Note
    snapshot_begins: SnapshotBegins
    snapshot_part: SnapshotPart
    snapshot_ends: SnapshotEnds
    reviving_failed: Pairs
    def __init__(self, customer_seen: _Optional[_Union[Generation, _Mapping]] = ..., customer_retired: _Optional[_Union[Generation, _Mapping]] = ..., customer_removed: _Optional[_Union[Generation, _Mapping]] = ..., policy_set: _Optional[_Union[Policy, _Mapping]] = ..., purged: _Optional[str] = ..., handed_over: _Optional[_Union[Timed, _Mapping]] = ..., extended: _Optional[_Union[Timed, _Mapping]] = ..., ended: _Optional[_Union[Ids, _Mapping]] = ..., released: _Optional[_Union[Ids, _Mapping]] = ..., returned: _Optional[_Union[Ids, _Mapping]] = ..., delayed: _Optional[_Union[Timed, _Mapping]] = ..., due: _Optional[_Union[Pairs, _Mapping]] = ..., died: _Optional[_Union[Deaths, _Mapping]] = ..., reviving: _Optional[_Union[Pairs, _Mapping]] = ..., revived: _Optional[_Union[Pairs, _Mapping]] = ..., dead_removed: _Optional[_Union[Pairs, _Mapping]] = ..., alive: _Optional[bool] = ..., gone: _Optional[str] = ..., barrier: _Optional[int] = ..., note: _Optional[_Union[Note, _Mapping]] = ..., snapshot_begins: _Optional[_Union[SnapshotBegins, _Mapping]] = ..., snapshot_part: _Optional[_Union[SnapshotPart, _Mapping]] = ..., snapshot_ends: _Optional[_Union[SnapshotEnds, _Mapping]] = ..., reviving_failed: _Optional[_Union[Pairs, _Mapping]] = ...) -> None: ...

class Generation(_message.Message):
    __slots__ = ("customer", "generation")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    customer: str
    generation: int
    def __init__(self, customer: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("customer", "is_set", "weight", "paused", "max_in_flight", "rate", "ordered", "max_backlog", "max_backlog_bytes")
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    IS_SET_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    ORDERED_FIELD_NUMBER: _ClassVar[int]
    MAX_BACKLOG_FIELD_NUMBER: _ClassVar[int]
    MAX_BACKLOG_BYTES_FIELD_NUMBER: _ClassVar[int]
    customer: str
    is_set: bool
    weight: int
    paused: bool
    max_in_flight: int
    rate: float
    ordered: bool
    max_backlog: int
    max_backlog_bytes: int
    def __init__(self, customer: _Optional[str] = ..., is_set: _Optional[bool] = ..., weight: _Optional[int] = ..., paused: _Optional[bool] = ..., max_in_flight: _Optional[int] = ..., rate: _Optional[float] = ..., ordered: _Optional[bool] = ..., max_backlog: _Optional[int] = ..., max_backlog_bytes: _Optional[int] = ...) -> None: ...

class Ids(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Timed(_message.Message):
    __slots__ = ("ids", "customers", "times")
    IDS_FIELD_NUMBER: _ClassVar[int]
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    customers: _containers.RepeatedScalarFieldContainer[str]
    times: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., customers: _Optional[_Iterable[str]] = ..., times: _Optional[_Iterable[int]] = ...) -> None: ...

class Pairs(_message.Message):
    __slots__ = ("ids", "marks")
    IDS_FIELD_NUMBER: _ClassVar[int]
    MARKS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    marks: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., marks: _Optional[_Iterable[int]] = ...) -> None: ...

class Deaths(_message.Message):
    __slots__ = ("ids", "customers", "places", "times")
    IDS_FIELD_NUMBER: _ClassVar[int]
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    customers: _containers.RepeatedScalarFieldContainer[str]
    places: _containers.RepeatedScalarFieldContainer[int]
    times: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., customers: _Optional[_Iterable[str]] = ..., places: _Optional[_Iterable[int]] = ..., times: _Optional[_Iterable[int]] = ...) -> None: ...

class Note(_message.Message):
    __slots__ = ("to", "topic", "body")
    TO_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    to: str
    topic: str
    body: bytes
    def __init__(self, to: _Optional[str] = ..., topic: _Optional[str] = ..., body: _Optional[bytes] = ...) -> None: ...

class SnapshotBegins(_message.Message):
    __slots__ = ("name", "offset")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    name: str
    offset: int
    def __init__(self, name: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class SnapshotPart(_message.Message):
    __slots__ = ("name", "index", "data")
    NAME_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    name: str
    index: int
    data: bytes
    def __init__(self, name: _Optional[str] = ..., index: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class SnapshotEnds(_message.Message):
    __slots__ = ("name", "parts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    parts: int
    def __init__(self, name: _Optional[str] = ..., parts: _Optional[int] = ...) -> None: ...

class State(_message.Message):
    __slots__ = ("customers", "policies", "dispatchers", "messages", "time", "last_death", "last_died_at")
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    DISPATCHERS_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_DEATH_FIELD_NUMBER: _ClassVar[int]
    LAST_DIED_AT_FIELD_NUMBER: _ClassVar[int]
    customers: _containers.RepeatedCompositeFieldContainer[Customer]
    policies: _containers.RepeatedCompositeFieldContainer[Policy]
    dispatchers: _containers.RepeatedCompositeFieldContainer[Dispatcher]
    messages: _containers.RepeatedCompositeFieldContainer[Known]
    time: int
    last_death: int
    last_died_at: int
    def __init__(self, customers: _Optional[_Iterable[_Union[Customer, _Mapping]]] = ..., policies: _Optional[_Iterable[_Union[Policy, _Mapping]]] = ..., dispatchers: _Optional[_Iterable[_Union[Dispatcher, _Mapping]]] = ..., messages: _Optional[_Iterable[_Union[Known, _Mapping]]] = ..., time: _Optional[int] = ..., last_death: _Optional[int] = ..., last_died_at: _Optional[int] = ...) -> None: ...

class Customer(_message.Message):
    __slots__ = ("name", "oldest", "newest", "retired")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    RETIRED_FIELD_NUMBER: _ClassVar[int]
    name: str
    oldest: int
    newest: int
    retired: int
    def __init__(self, name: _Optional[str] = ..., oldest: _Optional[int] = ..., newest: _Optional[int] = ..., retired: _Optional[int] = ...) -> None: ...

class Dispatcher(_message.Message):
    __slots__ = ("name", "number", "gone", "heard_at")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    HEARD_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    number: int
    gone: bool
    heard_at: int
    def __init__(self, name: _Optional[str] = ..., number: _Optional[int] = ..., gone: _Optional[bool] = ..., heard_at: _Optional[int] = ...) -> None: ...

class Known(_message.Message):
    __slots__ = ("id", "customer", "state", "attempts", "owner", "at", "place", "death")
    ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    DEATH_FIELD_NUMBER: _ClassVar[int]
    id: str
    customer: str
    state: int
    attempts: int
    owner: str
    at: int
    place: int
    death: int
    def __init__(self, id: _Optional[str] = ..., customer: _Optional[str] = ..., state: _Optional[int] = ..., attempts: _Optional[int] = ..., owner: _Optional[str] = ..., at: _Optional[int] = ..., place: _Optional[int] = ..., death: _Optional[int] = ...) -> None: ...

class Parcel(_message.Message):
    __slots__ = ("id", "customer", "body", "texts", "numbers")
    class TextsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class NumbersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    id: str
    customer: str
    body: bytes
    texts: _containers.ScalarMap[str, str]
    numbers: _containers.ScalarMap[str, int]
    def __init__(self, id: _Optional[str] = ..., customer: _Optional[str] = ..., body: _Optional[bytes] = ..., texts: _Optional[_Mapping[str, str]] = ..., numbers: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Burial(_message.Message):
    __slots__ = ("parcel", "attempts", "reason", "died_at")
    PARCEL_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DIED_AT_FIELD_NUMBER: _ClassVar[int]
    parcel: Parcel
    attempts: int
    reason: str
    died_at: int
    def __init__(self, parcel: _Optional[_Union[Parcel, _Mapping]] = ..., attempts: _Optional[int] = ..., reason: _Optional[str] = ..., died_at: _Optional[int] = ...) -> None: ...

class Burials(_message.Message):
    __slots__ = ("token", "burials")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    BURIALS_FIELD_NUMBER: _ClassVar[int]
    token: str
    burials: _containers.RepeatedCompositeFieldContainer[Burial]
    def __init__(self, token: _Optional[str] = ..., burials: _Optional[_Iterable[_Union[Burial, _Mapping]]] = ...) -> None: ...
