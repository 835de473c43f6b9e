#!/usr/bin/env bash
# kafka-install.sh: resolves a Kafka broker's jars from Maven Central into $ENSEMBLE_SERVERS_DIR/kafka/libs
# (default: target/servers/kafka/libs), about 66 MB. Does nothing where they are what kafka-pom.xml asks for.
# Needs Java 17 or newer and Maven.
# Env: ENSEMBLE_SERVERS_DIR; KAFKA_M2 (Maven's local repository, default ~/.m2).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -eq 0 ] || { echo "usage: $0" >&2; exit 2; }
home=${ENSEMBLE_SERVERS_DIR:-$here/../../target/servers}/kafka
mkdir -p "$home"; home=$(cd "$home" && pwd)
pom=$here/kafka-pom.xml
want=$(sha256sum "$pom" | cut -d' ' -f1)
plugin=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

exec 9>"$home/.install.lock"; flock -w 600 9
if [ "$(cat "$home/libs/.stamp" 2>/dev/null || true)" = "$want" ]; then
    echo "kafka: already installed in $home/libs"; exit 0
fi
for tool in java mvn; do
    command -v $tool >/dev/null ||
        { echo "kafka: $tool is missing; on Debian: apt-get install openjdk-17-jre-headless maven" >&2; exit 1; }
done
tmp=$home/libs.tmp; rm -rf "$tmp"
for try in 1 2 3; do
    # -U: a failed look-up that Maven has remembered must not stick.
    if mvn -B -U -ntp -q -f "$pom" ${KAFKA_M2:+-Dmaven.repo.local="$KAFKA_M2"} \
        "$plugin:copy-dependencies" -DincludeScope=runtime -DoutputDirectory="$tmp" \
        </dev/null >"$home/install.log" 2>&1; then ok=1; break; fi
    echo "kafka: maven failed (try $try of 3)" >&2; tail -n 5 "$home/install.log" >&2; sleep 3
done
[ "${ok:-}" = 1 ] || exit 1
version=$(java -Xmx64m -XX:TieredStopAtLevel=1 -cp "$tmp/*" kafka.Kafka --version 2>/dev/null | tail -n 1)
[ -n "$version" ] || { echo "kafka: the jars do not run" >&2; exit 1; }
echo "$want" >"$tmp/.stamp"
rm -rf "$home/libs"; mv "$tmp" "$home/libs"
echo "kafka: installed $version ($(find "$home/libs" -name '*.jar' | wc -l) jars, $(du -sm "$home/libs" | cut -f1) MiB) in $home/libs"
