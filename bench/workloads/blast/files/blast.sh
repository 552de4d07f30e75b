set -e
mkdir -p db
makeblastdb -in db.fa -dbtype prot -out db/proteins >log
blastp -query query.fa -db db/proteins -outfmt 6 -num_threads 1 >hits.tsv
wc -l <hits.tsv
