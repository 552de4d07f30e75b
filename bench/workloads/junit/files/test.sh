set -e
mkdir -p classes
export CLASSPATH=classes:/usr/share/java/junit4.jar:/usr/share/java/hamcrest-core.jar
javac -d classes src/parts/*.java test/parts/*.java
java org.junit.runner.JUnitCore parts.SumTest
