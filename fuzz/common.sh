# What fuzz/run and fuzz/keep share: the folders, the limits of one input, temporary files. Sourced by both.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=${FUZZ_WORK:-$here/work}
# The limits are what a reader may use. One thread: what is found happens again.
limits=(-timeout=5 -rss_limit_mb=1024 -malloc_limit_mb=512)
export RAYON_NUM_THREADS=1
columns='target cpu_seconds executions cov ft findings'
# Where cargo fuzz puts targets.
built=$here/target/$(rustc -vV | sed -n 's/^host: //p')/release
# The files that targets write and read: in memory where that can be, and gone afterwards.
in_memory() {
    TMPDIR=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)")
    export TMPDIR
    trap 'rm -rf "$TMPDIR"' EXIT
}
