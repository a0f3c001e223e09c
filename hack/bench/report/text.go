package report

// intro begins the page. It takes the name of the folder of results, and its path.
const intro = `# Benchmarks

Made by ` + "`make bench`" + `; don't edit. It takes Linux, two processors and a disk, and about two hours, one of them the soak; ` + "`BENCH_FLAGS='-sections answers'`" + ` measures a
section anew. With other settings than the usual ones results go to ` + "`bin/bench-out`" + ` instead of here. What each run showed is in [%s](%s/), a JSON
file for each section. What a receiver takes in a pod, at an even pace, is in [sizing.md](sizing.md), which says why its figures are other ones.

`

// howToRead explains the tables.
const howToRead = `How to read it:

- **Compare within one table only.** Variants take turns, round by round, each in a fresh process; a ratio is the median of the rounds' own ratios, with the
  least and the most of them. Other figures are medians. From run to run absolute figures differ by more than ratios do.
- **The load runs on the same machine** and takes processor time from the server: its own cost is in the column "load's CPU". It makes ratios of
  rates milder than the servers' own costs are, which "CPU each" tells without it.
- One machine, one disk: a disk whose durable writes take longer lowers what few connections reach, and hardly what many do, as one write
  serves all who wait.

`

// tried ends the page. Its figures were measured one by one, when each was tried; they are not measured anew with the rest.
const tried = `## What was tried and left

Measured once each, when it was tried, on a machine of two cores; not measured anew with the rest. Processor time is a callback's, at 64 connections and 1 KiB,
unless it says otherwise.

| left, as it gained nothing beyond noise | measured |
|---|---|
| a build of the receiver guided by its profile | 28.75 instead of 28.8 µs, four pairs in turns; measured again after all below, 22.2 and 23.1 instead of 22.2 and 22.6 |
| faster compression of the store's tables | 28.5 µs |
| tables that are not compressed | no gain |
| more rounds of gathering callbacks before a write | no gain |
| code for newer processors (` + "`GOAMD64`" + `) | no gain |
| other settings of the garbage collector | no gain |
| a second commit that is applied while the first is synced | 1 to 2 µs more, and fewer a second |
| other goroutines let run before the log is synced | no gain |
| filters of identities that err once in a thousand, instead of in a hundred | 0.1 µs less, and half as much memory again |
| a commit that waits for nobody where one caller is alone | p50 of one connection 5 hundredths less, but as much fewer a second over 16; made to remember how many there were, no gain over either |
| a commit that is woken by the callback that makes its group large enough, instead of a look every 60 µs | 1 to 2 µs more, and no more a second |
| a lower priority (` + "`nice`" + ` 5 and 19) for threads that flush and compact | p99 at half load mostly 2.4 to 3.3 instead of 4.6 to 4.9 ms, in single rounds up to 21 ms instead of 8: who waits for such a thread waits for longer |
| flushes and compactions that pause after each 8 to 64 KiB that they write | p99 at half load 1.7 to 3.9 instead of 3.5 to 4.1 ms, and up to 1 µs more |
| shorter turns of processor time for all threads (0.1 and 0.5 instead of about 3 ms, as Linux 6.12 has it) | p99 at half load 3.2 to 4.0 instead of 3.6 to 3.9 ms |
| waiting for more callbacks where fewer come, too (from 6 and 12 on, instead of 40) | p99 at half load 3.4 to 3.9 instead of 3.5 to 3.8 ms |
| a store that never flushes and a collector that never runs, only to see what these two cost | p99 at half load, beside bare net/http's: 2.1 and 2.6 instead of 4.2 and 3.8 ms, with 0.8 and 0.5 (Lazada, Tencent IM); on the same machine at half its speed, 4.2 and 3.4 instead of 14.7 and 13.0 ms, with 1.9 and 1.5 |

| taken | gained |
|---|---|
| fasthttp as the server for callbacks | 6.5 µs |
| tables of the store by kind of record | about 3 µs |
| logs that are filled ahead | p50 of one connection 280 instead of 362 µs |
| no timer for each callback | about 1 µs |
| lanes of deliveries in memory, instead of read from the store | 17 µs an event, from end to end |
| an HTTP client for plain targets, without net/http's transport | 19 µs an event |
| one pass over the JSON, and no copy of it | about 2 µs |
| a group of callbacks waits for more, where many come | about 1 µs |
| – for half of those that come at a time, instead of for all | 46,900 instead of 43,000 a second; 36,500 instead of 23,000 at 32 connections, 24,500 instead of 12,000 at 16 |
| what is being settled takes no place of an attempt | from 0.97 to 1.0 of the proxy, from end to end |
| in an overload those that wait to be stored hold no more than half of the connections | p99 since due 150 to 220 instead of 780 to 1,600 ms (Lazada), 0.5 instead of 12 s (Tencent IM) |
| two dozen tables at a time to compact, instead of one | 1.5 to 3 µs |
| one thread more than processors, instead of two | 0.9 µs: a thread that is idle looks for work |
| one core has three threads nevertheless | p99 at half load 4.8 instead of 7.1 ms with two, and 96 ms with one |
| a start that hardly ever waits for a compaction | ready 20 ms after SIGKILL instead of up to 1.4 s, with 5,000,000 waiting |
| 40 instead of 64 MiB for memtables and blocks, and 160 instead of 144 MiB until memory comes before speed | 1 µs; at twice the saturation 24,000 instead of 14,500 a second are accepted, with p99 150 instead of 310 ms since sent: the garbage collector had never rested |
| public authorities' certificates only where TLS may be spoken | 0.9 MiB of an idle receiver |
`
