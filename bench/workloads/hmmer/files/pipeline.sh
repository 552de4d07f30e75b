# A profile from each family, searched for in all sequences.
set -e
mkdir -p profiles hits
for family in families/*.fa; do
    name=$(basename "$family" .fa)
    hmmbuild --amino --cpu 0 --informat afa -n "$name" -o /dev/null "profiles/$name.hmm" "$family"
    hmmsearch --cpu 0 -o /dev/null --tblout "hits/$name" "profiles/$name.hmm" all.fa
done
grep -hv '^#' hits/* | wc -l
