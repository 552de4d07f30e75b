set -e
tar --sort=name --owner=0 --group=0 --mtime=2024-01-01 -cf release.tar files
gzip -nk release.tar
TZ=UTC zip -qrX release.zip files
sha256sum release.tar.gz >sums
tar -tf release.tar.gz | wc -l
