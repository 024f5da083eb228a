"""Triggers in the run's database that record each write and its writer, for every statement.

The writer is the application name, which contains the process id: one start of one process. Two terms of leadership, or
two attempts at one order, of the same start of the same process cannot be distinguished.
"""

# Placing: only rows that a claim or an attempt's end changes. `has_evidence` is set by reports of the exchange, or a
# cancel. Leadership: every write to the stream's position. Batches: each statement of an ingest that writes changes,
# with the epoch at its commit: the function reads it under its own snapshot, after the locks that the statement waited
# for. The functions have their owner's rights: the processes' roles cannot access these tables.
AUDIT = """
CREATE TABLE chaos_placing (
    order_id uuid, attempt_before int, attempt int, lease_left_seconds float8, is_leased bool,
    attempts_changed bool, maybe_sent_changed bool, was_over bool, has_evidence bool, writer text
);
CREATE FUNCTION chaos_note_placing() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    INSERT INTO chaos_placing VALUES (
        NEW.id, OLD.attempt, NEW.attempt, extract(epoch FROM OLD.lease_until - now()), NEW.lease_until IS NOT NULL,
        OLD.attempts IS DISTINCT FROM NEW.attempts, OLD.maybe_sent_at IS DISTINCT FROM NEW.maybe_sent_at,
        OLD.submit_due_at IS NULL, NEW.rank > 0 OR NEW.filled_quantity > 0 OR cardinality(NEW.ends) > 0,
        current_setting('application_name')
    );
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_placing AFTER UPDATE ON orders FOR EACH ROW WHEN (
    OLD.attempt IS DISTINCT FROM NEW.attempt OR OLD.attempts IS DISTINCT FROM NEW.attempts
    OR OLD.lease_until IS DISTINCT FROM NEW.lease_until OR OLD.maybe_sent_at IS DISTINCT FROM NEW.maybe_sent_at
) EXECUTE FUNCTION chaos_note_placing();

CREATE TABLE chaos_leaders (epoch_before bigint, epoch bigint, moment_before float8, moment float8, writer text);
CREATE FUNCTION chaos_note_leader() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    INSERT INTO chaos_leaders VALUES (
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.epoch ELSE 0 END, NEW.epoch,
        CASE WHEN TG_OP = 'UPDATE' THEN extract(epoch FROM OLD.moment) END, extract(epoch FROM NEW.moment),
        current_setting('application_name')
    );
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_leaders AFTER INSERT OR UPDATE ON stream_positions
    FOR EACH ROW EXECUTE FUNCTION chaos_note_leader();

CREATE TABLE chaos_batches (writer text, epoch bigint, transaction_id text, changes int);
CREATE FUNCTION chaos_note_batch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    IF current_setting('application_name') LIKE 'fillwire ingest%' THEN
        INSERT INTO chaos_batches SELECT current_setting('application_name'),
            (SELECT p.epoch FROM stream_positions AS p), pg_current_xact_id()::text, count(*) FROM fresh
        HAVING count(*) > 0;  -- A batch that the fence has stopped writes nothing.
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_batches AFTER INSERT ON order_changes REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION chaos_note_batch();
"""
