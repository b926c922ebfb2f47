-- psql: what people type, and what its backslash commands do. Run on the server itself and through
-- Palisade, it has to print the same.
\set QUIET on
\pset pager off
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS by_psql CASCADE;
CREATE SCHEMA by_psql;
SET search_path = by_psql;
RESET client_min_messages;
\set QUIET off

CREATE TABLE item (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, price numeric(10,2) DEFAULT 1);
INSERT INTO item (name) VALUES ('a'), ('b'), ('c') RETURNING id, name;
\d item
\copy item (name, price) from program 'seq 1 5 | sed "s/.*/copied &\t&.50/"'
\copy (SELECT id, name, price FROM item ORDER BY id) to stdout with csv header
COPY item (name) FROM STDIN;
from standard input
\.
COPY (SELECT count(*) FROM item) TO STDOUT;

-- Several statements in one message are one transaction.
INSERT INTO item (name) VALUES ('kept') \; SELECT count(*) FROM item;
INSERT INTO item (name) VALUES ('lost') \; SELECT 1/0;
SELECT count(*) FROM item WHERE name IN ('kept', 'lost');

BEGIN;
SAVEPOINT one;
INSERT INTO item (name) VALUES (NULL);
SELECT 'not while it has failed';
ROLLBACK TO one;
SELECT 'again';
COMMIT;

PREPARE by_price (numeric) AS SELECT name FROM item WHERE price = $1 ORDER BY id;
EXECUTE by_price(2.50);
DEALLOCATE by_price;
BEGIN;
DECLARE few CURSOR FOR SELECT id FROM item ORDER BY id;
FETCH 2 FROM few;
MOVE 1 FROM few;
FETCH 1 FROM few;
CLOSE few;
COMMIT;

SELECT count(*) AS items FROM item \gset
\echo :items
SELECT format('SELECT %s AS made', n) FROM generate_series(1, 3) n \gexec
\set FETCH_COUNT 100
SELECT sum(n) FROM (SELECT * FROM generate_series(1, 1000) n) x;
\unset FETCH_COUNT
DO $$ BEGIN RAISE NOTICE 'noticed'; RAISE WARNING 'warned'; END $$;
DO $$ BEGIN RAISE EXCEPTION 'told' USING DETAIL = 'in detail', HINT = 'with a hint', ERRCODE = 'P0099'; END $$;
\set VERBOSITY verbose
SELECT nothing FROM item;
\set VERBOSITY default
CREATE TEMP TABLE mine AS SELECT 1 AS n;
SELECT n FROM mine;
SET work_mem = '5MB';
SHOW work_mem;
RESET work_mem;
SELECT pg_advisory_lock(7), pg_advisory_unlock(7);
CREATE PROCEDURE twice() LANGUAGE plpgsql AS $$
BEGIN INSERT INTO item (name) VALUES ('first'); COMMIT; INSERT INTO item (name) VALUES ('second'); ROLLBACK; END $$;
CALL twice();
SELECT name FROM item WHERE name IN ('first', 'second');
-- Large objects go by function calls.
\o /dev/null
\lo_import /etc/hostname
\lo_export :LASTOID /dev/null
\lo_unlink :LASTOID
\o
VACUUM item;
SELECT current_user, current_database(), pg_is_in_recovery();
\encoding
\echo :LAST_ERROR_SQLSTATE
DROP SCHEMA by_psql CASCADE;
