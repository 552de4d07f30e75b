# Programs that read what the one before them prints.
number=0
while [ $number -lt 100 ]; do
    number=$((number + 1))
    seq 1 $((number * 20)) | grep 7 | sed "s/7/$number/" | sort -r | head -n 5 | tr '\n' ' '
    seq $number | awk '{ sum += $1 } END { print sum }' | tee -a sums | cut -c 1-3
done
sort -n sums | uniq -c | wc -l
