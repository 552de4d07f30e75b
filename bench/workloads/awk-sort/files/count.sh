set -e
for n in 1 2 3 4 5 6; do
    awk -v n=$n '{ print $1 % (n + 2) }' numbers | sort -n | uniq -c | sort -rn >top$n
done
cat top* | awk '{ s += $1 } END { print s }'
