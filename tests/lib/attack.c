#include "tests/lib/attack.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/proc.h"

/* A round trip, on a machine that has other things to do. */
#define SLOWEST_MS ((uint64_t)deadline_ms() / 3)
#define HEAP_OLD_MS 2000 /* the age that a process's count of its heap may have */
#define LOOK_MS 100      /* between two looks at the memory */

/* What has to be as before when the attackers have gone. */
static const char *const level[] = { "connections", "clients", "subscriptions", "sessions",
	"sessions_persistent", "retained", "queued", "wills_pending" };
#define LEVELS (sizeof(level) / sizeof(level[0]))

struct seen { /* by the witness; read by the scenario */
	_Atomic bool begun, stop;
	_Atomic uint64_t trips, looks, slowest_ms, most;
};

static struct {
	struct seen *seen;
	uint64_t memory, heap;
	long level[LEVELS];
} the;

static bool
is_measured(void)
{
	return the.heap > 0; /* jemalloc is there to be asked */
}

/* --- witness ----------------------------------------------------------------------------- */

static uint64_t
memory(void)
{
	uint64_t pss = 0;

	proc_pss(broker.pid, &pss);
	return pss;
}

static void
round_trip(struct mq *sub, struct mq *pub, uint64_t n)
{
	uint64_t from = now_ms(), took;
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	check(mq_publish(pub, "witness/of/attacks", text, (int)(n % 2), false) == 0);
	mq_need_publish(sub, "witness/of/attacks", text);
	took = now_ms() - from;
	if (took > the.seen->slowest_ms)
		the.seen->slowest_ms = took;
	the.seen->trips++;
}

static void
witness(void)
{
	struct mq *sub, *pub = mq_connect(.id = "witness-pub");
	uint64_t looked_ms = 0;

	sub = mq_on_worker(workers() - 1, (struct mq_opts){ .id = "witness-sub", .expiry = 60 });
	check(mq_subscribe(sub, "witness/of/attacks", 1) == 1);
	for (uint64_t n = 0; !the.seen->stop; n++) {
		round_trip(sub, pub, n);
		the.seen->begun = true;
		if (now_ms() - looked_ms >= LOOK_MS) {
			uint64_t now = memory();

			looked_ms = now_ms();
			if (now > the.seen->most)
				the.seen->most = now;
			the.seen->looks++;
		}
		nap();
	}
	mq_hex(sub, "e007 00 05 1100000000"); /* its session ends */
	mq_need_close(sub);
	mq_close(sub);
	mq_disconnect(pub);
}

/* --- begin and end ----------------------------------------------------------------------- */

void
attack_start_with(const char *const *settings)
{
	struct rlimit lim;

	check(getrlimit(RLIMIT_NOFILE, &lim) == 0);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	broker_start_with(workers(), settings);
	mq_disconnect(mq_connect(.id = "first")); /* whatever is made once is there now */
	wait_for(broker_counter("sessions") == 0);
	the.seen = mmap(
	    NULL, sizeof(*the.seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(the.seen != MAP_FAILED);
	the.heap = (uint64_t)broker_counter("heap");
	for (size_t i = 0; i < LEVELS; i++)
		the.level[i] = broker_counter(level[i]);
	the.memory = memory();
	check(the.memory > 0);
	scenario_helper = fork();
	check(scenario_helper >= 0);
	if (scenario_helper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		witness();
		exit(0);
	}
	wait_for(the.seen->begun || waitpid(scenario_helper, NULL, WNOHANG) != 0);
	if (!the.seen->begun)
		fail("the witness could not begin");
}

/* Two looks more: the one that is under way may have begun before. */
void
attack_look(void)
{
	uint64_t looks = the.seen->looks;

	wait_for(the.seen->looks >= looks + 2 || waitpid(scenario_helper, NULL, WNOHANG) != 0);
	if (the.seen->looks < looks + 2)
		fail("another client was not served");
}

uint64_t
attack_memory(void)
{
	uint64_t now = memory();

	return is_measured() && now > the.memory ? now - the.memory : 0;
}

static void
witness_end(void)
{
	int status;

	the.seen->stop = true;
	while (waitpid(scenario_helper, &status, 0) < 0 && errno == EINTR)
		;
	scenario_helper = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail("another client was not served");
}

/* Bytes of heap that are left when it is within the bound, or at the deadline. Each process looks once a second. */
static int64_t
heap_left(uint64_t bound)
{
	uint64_t from = now_ms();
	int64_t left;

	while ((left = broker_counter("heap") - (int64_t)the.heap) > (int64_t)bound ||
	    now_ms() < from + HEAP_OLD_MS) {
		if (now_ms() > from + (uint64_t)deadline_ms())
			break;
		nap();
	}
	return left;
}

static void
levels_are_as_before(void)
{
	for (size_t i = 0; i < LEVELS; i++) {
		uint64_t until = now_ms() + (uint64_t)deadline_ms();
		long now;

		while ((now = broker_counter(level[i])) != the.level[i]) {
			if (now_ms() > until)
				fail("%s is %ld, was %ld", level[i], now, the.level[i]);
			nap();
		}
	}
}

void
attack_end(uint64_t most, uint64_t left)
{
	int64_t grown, heap;

	attack_look();
	witness_end();
	levels_are_as_before();
	grown = (int64_t)the.seen->most - (int64_t)the.memory;
	heap = is_measured() ? heap_left(left) : 0;
	printf("    memory %+.1f MiB of %.1f, left %+.1f of %.1f; slowest of %llu round trips %llu "
	       "ms\n",
	    (double)grown / (double)MIB, (double)most / (double)MIB, (double)heap / (double)MIB,
	    (double)left / (double)MIB, (unsigned long long)the.seen->trips,
	    (unsigned long long)the.seen->slowest_ms);
	check(!is_measured() || grown <= (int64_t)most);
	check(heap <= (int64_t)left);
	check(the.seen->slowest_ms <= SLOWEST_MS);
	munmap(the.seen, sizeof(*the.seen));
}

void
mq_close_all(struct mq **m, int n)
{
	while (n-- > 0)
		mq_close(m[n]);
}
