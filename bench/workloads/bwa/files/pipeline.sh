# An index; then each sample aligned, sorted, indexed and summed up.
set -e
mkdir -p aligned
bwa index reference.fa 2>/dev/null
for sample in samples/*.fq; do
    name=aligned/$(basename "$sample" .fq)
    bwa mem -t 1 -o "$name.sam" reference.fa "$sample" 2>/dev/null
    samtools sort -o "$name.bam" "$name.sam" 2>/dev/null
    samtools index "$name.bam"
    samtools flagstat "$name.bam" >"$name.txt"
done
cat aligned/*.txt | grep -c mapped
