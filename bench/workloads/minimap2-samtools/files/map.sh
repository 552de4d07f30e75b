set -e
for s in a b c; do
    minimap2 -t 1 -ax sr genome.fa $s.fq 2>/dev/null | samtools sort --no-PG -o $s.bam - 2>/dev/null
    samtools index $s.bam
    samtools flagstat $s.bam >$s.stat
done
head -1 *.stat
