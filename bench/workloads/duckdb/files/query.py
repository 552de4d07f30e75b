import duckdb

duckdb.sql("copy (select key, sum(value) s from 'table.csv' group by key order by key) to 'sums.parquet'")
print(duckdb.sql("select count(*) from 'sums.parquet'").fetchall())
