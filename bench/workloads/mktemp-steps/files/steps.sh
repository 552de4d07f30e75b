set -e
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
for n in 1 2 3 4; do
    awk -v n=$n '{ print $1 % (n + 5) }' numbers >"$T/$n"
    sort -n "$T/$n" -o "$T/$n.sorted"
    uniq -c "$T/$n.sorted" >counts$n
done
cat counts* | wc -l
