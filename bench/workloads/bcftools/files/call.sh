set -e
minimap2 -t 1 -ax sr genome.fa a.fq 2>/dev/null | samtools sort --no-PG -o a.bam - 2>/dev/null
samtools faidx genome.fa
bcftools mpileup --no-version -f genome.fa a.bam 2>/dev/null | bcftools call --no-version -mv -Oz -o a.vcf.gz
bcftools index -f a.vcf.gz
bcftools view -H a.vcf.gz | wc -l
