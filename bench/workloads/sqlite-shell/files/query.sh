set -e
sqlite3 new.db <<END
.mode csv
.import table.csv t
create index i on t(key);
END
sqlite3 new.db "select key, sum(value) from t group by key order by key" >sums.txt
cat sums.txt
