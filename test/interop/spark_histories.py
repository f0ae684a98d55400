"""More tables that Spark writes: nested columns, every transform, format versions, branches, maintenance of its own."""

NESTED = """
    key BIGINT NOT NULL, instant TIMESTAMP,
    person STRUCT<name: STRING, age: INT, home: STRUCT<city: STRING, at: TIMESTAMP>>,
    items ARRAY<STRUCT<n: INT, label: STRING, tags: ARRAY<STRING>>>,
    props MAP<STRING, STRUCT<v: INT, w: FLOAT, inner: MAP<STRING, DECIMAL(9, 2)>>>,
    lists ARRAY<ARRAY<BIGINT>>, days MAP<INT, DATE>
"""
INSTANT = "timestamp_micros(id * 7200000001 - 40 * 3600000000)"
# null at every depth: structs, members, lists, elements, maps, values
NESTED_ROWS = f"""
    SELECT id AS key, {INSTANT} AS instant,
        if(id % 5 = 0, NULL, named_struct('name', if(id % 3 = 0, NULL, concat('n', id)), 'age', CAST(id AS INT),
            'home', if(id % 4 = 0, NULL, named_struct('city', concat('c', id), 'at', if(id % 7 = 0, NULL, {INSTANT}))))) AS person,
        if(id % 6 = 0, NULL, transform(sequence(0, id % 4), i -> if(i = 2, NULL, named_struct('n', CAST(id + i AS INT),
            'label', if(i = 1, NULL, 'l'), 'tags', if(id % 3 = 0, NULL, filter(array('a', NULL, 'b'), (e, j) -> j < id % 4)))))) AS items,
        if(id % 7 = 0, NULL, map_from_entries(transform(sequence(1, 1 + id % 3), i -> struct(concat('k', i),
            if(i = 2, NULL, named_struct('v', CAST(i AS INT), 'w', CAST(id / 4 AS FLOAT),
                'inner', if(id % 2 = 0, NULL, map('x', CAST(id AS DECIMAL(9, 2))))))))) ) AS props,
        if(id % 8 = 0, NULL, array(array(id, NULL), NULL, array())) AS lists,
        if(id % 9 = 0, NULL, map(CAST(id AS INT), DATE '1970-01-01')) AS days
    FROM range({{start}}, {{end}})
"""


def nested(writer):
    """Three levels, changed at each of them, with rows deleted before and after."""
    table = "firn.foreign.nested"
    properties = "'write.delete.mode' = 'merge-on-read'"
    writer.spark.sql(f"CREATE TABLE {table} ({NESTED}) USING iceberg TBLPROPERTIES ({properties})")
    for start in (0, 40):
        writer.spark.sql(f"INSERT INTO {table} {NESTED_ROWS.format(start=start, end=start + 40)}")
    writer.spark.sql(f"DELETE FROM {table} WHERE person.age % 5 = 1")
    for change in (
        "RENAME COLUMN person.name TO full_name",
        "ALTER COLUMN person.age TYPE BIGINT",
        "ADD COLUMN person.home.zip STRING FIRST",
        "ADD COLUMN items.element.price DECIMAL(9, 2)",
        "ALTER COLUMN items.element.n TYPE BIGINT",
        "DROP COLUMN items.element.label",
        "ADD COLUMN items.element.label INT",
        "RENAME COLUMN props.value.v TO number",
        "ALTER COLUMN props.value.w TYPE DOUBLE",
        "ADD COLUMN added ARRAY<STRUCT<x: INT>> AFTER key",
    ):
        writer.alter(table, change)
    writer.spark.sql(f"DELETE FROM {table} WHERE key BETWEEN 10 AND 20")
    writer.spark.sql(
        f"INSERT INTO {table} SELECT key + 100, array(named_struct('x', 1), NULL), instant, person, items, props, lists, days FROM {table}"
    )
    return table


# each transform of each type that has it
SPECS = {
    "times": "years(instant), months(day), days(local)",
    "hours": "hours(instant), hours(local), years(day)",
    "truncated": "truncate(10, small), truncate(1000, large), truncate(50, dec9), truncate(2, text)",
    "truncated_bytes": "truncate(1, bytes), truncate(1000000000, dec38), days(day)",
    "buckets": "bucket(2, key), bucket(3, day), bucket(2, instant), bucket(3, bytes)",
    "more_buckets": "bucket(2, text), bucket(3, dec9), bucket(2, dec38), bucket(2, local)",
    "identities": "flag, small, dec9",
    "more_identities": "day, text, bytes",
}


def one_spec(name, spec):
    def write(writer):
        table = writer.create(name, spec)
        writer.insert(table, 0, 25)
        writer.spark.sql(f"DELETE FROM {table} WHERE key % 5 = 1")
        return table

    return write


def version_one_evolved(writer):
    """Version 1 keeps the place of a partition field that is gone, and has no sequence numbers."""
    table = writer.create("version_one_evolved", "flag, days(instant)", "'format-version' = '1'")
    writer.insert(table, 0, 30)
    writer.alter(table, "DROP PARTITION FIELD flag")
    writer.alter(table, "ALTER COLUMN small TYPE BIGINT")
    writer.alter(table, "RENAME COLUMN text TO words")
    writer.alter(table, "ADD COLUMN more STRING")
    kept = "flag, small, large, single, double, day, instant, local, words, bytes, dec9, dec38"
    writer.spark.sql(f"INSERT INTO {table} SELECT key + 100, {kept}, 'new' FROM {table}")
    writer.alter(table, "ADD PARTITION FIELD bucket(4, key)")
    writer.spark.sql(f"DELETE FROM {table} WHERE key BETWEEN 5 AND 110")
    return table


def upgraded(writer):
    """Files of version 1 and delete files of version 2 in one table."""
    table = writer.create("upgraded", "flag", "'format-version' = '1'")
    writer.insert(table, 0, 40)
    modes = "'write.delete.mode' = 'merge-on-read', 'write.update.mode' = 'merge-on-read'"
    writer.alter(table, f"SET TBLPROPERTIES ('format-version' = '2', {modes})")
    writer.spark.sql(f"DELETE FROM {table} WHERE key % 4 = 3")
    writer.insert(table, 40, 60)
    writer.spark.sql(f"UPDATE {table} SET text = 'changed' WHERE key % 9 = 0")
    return table


def branches(writer):
    """Branches and tags written by Spark, a change picked from one, the whole taken back."""
    table = writer.create("branches", "days(instant)")
    writer.insert(table, 0, 20)
    writer.alter(table, "CREATE TAG first")
    writer.alter(table, "CREATE BRANCH side")
    writer.spark.sql(f"INSERT INTO {table}.branch_side SELECT * FROM {table}")
    writer.spark.sql(f"DELETE FROM {table}.branch_side WHERE key < 5")
    writer.insert(table, 20, 40)
    first = writer.spark.table(f"{table}.refs").where("name = 'first'").collect()[0].snapshot_id
    writer.spark.sql(f"CALL firn.system.rollback_to_snapshot('foreign.branches', {first})")
    writer.insert(table, 40, 50)
    writer.spark.sql("CALL firn.system.fast_forward('foreign.branches', 'late', 'main')")
    return table


def maintained(writer):
    """Merged into, overwritten by partition, rewritten and expired, by Spark's own procedures."""
    modes = "'write.delete.mode' = 'merge-on-read', 'write.merge.mode' = 'merge-on-read'"
    table = writer.create("maintained", "flag", modes)
    for start in (0, 20, 40):
        writer.insert(table, start, start + 20)
    writer.spark.sql(f"DELETE FROM {table} WHERE key % 6 = 2")
    writer.spark.sql(
        f"MERGE INTO {table} AS old USING (SELECT key + 30 AS key, text FROM {table}) AS new ON old.key = new.key "
        "WHEN MATCHED AND new.key % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET text = new.text "
        "WHEN NOT MATCHED THEN INSERT (key, text, instant) VALUES (new.key, new.text, timestamp_seconds(new.key))"
    )
    writer.spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    writer.spark.sql(f"INSERT OVERWRITE {table} SELECT * FROM {table} WHERE flag AND key < 30")
    writer.spark.sql("CALL firn.system.rewrite_manifests('foreign.maintained')")
    writer.spark.sql("CALL firn.system.rewrite_position_delete_files(table => 'foreign.maintained', options => map('rewrite-all', 'true'))")
    writer.spark.sql("CALL firn.system.expire_snapshots(table => 'foreign.maintained', older_than => TIMESTAMP '2100-01-01 00:00:00', retain_last => 4)")
    writer.spark.sql(f"DELETE FROM {table} WHERE key % 7 = 3")
    writer.spark.sql("CALL firn.system.rewrite_data_files(table => 'foreign.maintained', options => map('rewrite-all', 'true'))")
    return table


BY_TRANSFORM = [one_spec(f"by_{name}", spec) for name, spec in SPECS.items()]
HISTORIES = [nested, *BY_TRANSFORM, version_one_evolved, upgraded, branches, maintained]
