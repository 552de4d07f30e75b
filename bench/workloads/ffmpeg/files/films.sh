set -e
for n in 1 2 3 4; do
    ffmpeg -nostdin -loglevel error -y -f lavfi -i testsrc=duration=1:size=160x120:rate=10 -vf "scale=80:60,hue=h=$n" -fflags +bitexact -flags:v +bitexact -c:v mpeg4 film$n.avi
done
ls film*.avi
