# Each family aligned twice.
set -e
mkdir -p clustalo mafft
for family in families/*.fa; do
    name=$(basename "$family")
    clustalo --force --threads=1 --infile="$family" --outfile="clustalo/$name"
    mafft --quiet --thread 1 --auto "$family" >"mafft/$name"
done
