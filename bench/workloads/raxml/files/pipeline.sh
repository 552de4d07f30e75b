# One tree from each family.
set -e
mkdir -p trees
for family in families/*.fa; do
    name=$(basename "$family" .fa)
    # raxml refuses to overwrite.
    rm -f trees/RAxML_*."$name"
    raxmlHPC -s "$family" -n "$name" -m GTRCAT -p 42 -w "$PWD/trees" >/dev/null
done
