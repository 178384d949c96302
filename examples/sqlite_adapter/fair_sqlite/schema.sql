-- Every message is one row, in exactly one state. Times are microseconds since 1970.
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ready', 'leased', 'delayed', 'dead')),
    place INTEGER NOT NULL,           -- orders a customer's messages; of dead letters: the order of their deaths
    cost INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    published_at INTEGER NOT NULL,
    due INTEGER,                      -- end of the lease or of the delay; of dead letters: when they died
    token TEXT,                       -- of the receive that holds the lease
    reason TEXT NOT NULL DEFAULT '',
    envelope BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_in_order ON messages (state, customer, place);
CREATE INDEX IF NOT EXISTS messages_due ON messages (state, due);
CREATE INDEX IF NOT EXISTS messages_of_customers ON messages (customer, state);

-- Customers with something ready, in the order of their turns.
CREATE TABLE IF NOT EXISTS ring (
    customer TEXT PRIMARY KEY,
    place INTEGER NOT NULL,
    deficit INTEGER NOT NULL DEFAULT 0,
    visiting INTEGER NOT NULL DEFAULT 0   -- 1: the visit was cut short and has its quantum already
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ring_in_order ON ring (place);

CREATE TABLE IF NOT EXISTS policies (customer TEXT PRIMARY KEY, weight INTEGER, paused INTEGER) WITHOUT ROWID;

-- Under which id a (customer, Message.id) was stored, for as long as it is recognised.
CREATE TABLE IF NOT EXISTS recognised (
    customer TEXT, key TEXT, id INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (customer, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS recognised_until ON recognised (until);

-- The last number that was given to a message, a place or a turn.
CREATE TABLE IF NOT EXISTS numbers (last INTEGER NOT NULL);
INSERT INTO numbers SELECT 0 WHERE NOT EXISTS (SELECT * FROM numbers);
