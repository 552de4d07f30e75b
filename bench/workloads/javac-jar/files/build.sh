set -e
mkdir -p classes
javac -d classes src/parts/*.java
jar --create --file parts.jar --date 2024-01-01T00:00:00Z --main-class parts.Sum -C classes .
java -jar parts.jar a b
