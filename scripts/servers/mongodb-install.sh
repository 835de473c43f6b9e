#!/usr/bin/env bash
# Installs what stands in for MongoDB in tests: mongo-java-server, a server in Java that speaks the wire protocol, behind a
# launcher that shows it to drivers as a replica set of one. It is NOT MongoDB. It shows that commands, documents and error
# paths work over the wire; majority, journal and elections mean nothing to it, so a replica set's ways are shown elsewhere
# (the fault proxy, the simulated store, and the same tests with ENSEMBLE_TEST_MONGODB_URI at a real replica set).
#
# usage: mongodb-install.sh        idempotent; needs a JDK 17 and Maven; MVN_ARGS are handed to Maven
# place: ${ENSEMBLE_SERVERS_DIR:-target/servers}/mongodb
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=${ENSEMBLE_SERVERS_DIR:-$here/../../target/servers}/mongodb
version=1.47.0

stamp=$(cat "${BASH_SOURCE[0]}" "$here"/*.java | sha256sum | cut -d' ' -f1)
if [ "$(cat "$home/stamp" 2>/dev/null || true)" = "$stamp" ]; then
    echo "mongo-java-server $version: already installed"
    exit 0
fi
for tool in mvn javac; do
    command -v "$tool" >/dev/null || { echo "mongodb-install: $tool is missing; install a JDK 17 and Maven" >&2; exit 1; }
done

rm -rf "$home"
mkdir -p "$home/lib" "$home/classes"
cat > "$home/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ensemble</groupId><artifactId>mongodb-stand-in</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>de.bwaldvogel</groupId><artifactId>mongo-java-server</artifactId><version>$version</version>
    </dependency>
    <dependency>
      <groupId>de.bwaldvogel</groupId><artifactId>mongo-java-server-h2-backend</artifactId><version>$version</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>2.0.17</version>
    </dependency>
  </dependencies>
</project>
POM
# MVN_ARGS is a list of words.
# shellcheck disable=SC2086
mvn -q -B ${MVN_ARGS:-} -f "$home/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DoutputDirectory="$home/lib" -DincludeScope=runtime
javac -cp "$home/lib/*" -d "$home/classes" "$here"/*.java
echo "$stamp" > "$home/stamp"
echo "mongo-java-server $version: installed in $home"
