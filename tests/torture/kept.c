#include "tests/lib/chance.h"
#include "tests/lib/tool.h"
#include "tests/torture/ledger.h"
#include "tests/torture/torture.h"

/* Often enough that each run has connections lost beside those of killed workers. */
#define CUT_MIN_MS 1000
#define CUT_MAX_MS 8000
/* Not at once: a broker that is dead refuses a thousand times a second. */
#define RETRY_MIN_MS 5
#define RETRY_MAX_MS 50

void
kept_turn(struct kept *k)
{
	struct client *c = &k->client;
	bool is_closed = c->state == CLIENT_CLOSED;

	if (k->again_ns == 0 || is_closed != k->was_closed) {
		k->was_closed = is_closed;
		k->again_ns = is_closed ? after_ms(RETRY_MIN_MS, RETRY_MAX_MS)
					: after_ms(CUT_MIN_MS, CUT_MAX_MS);
	}
	if (clients.now < k->again_ns)
		return;
	k->again_ns = 0;
	if (c->state == CLIENT_CLOSED)
		client_open(c);
	else if (c->state == CLIENT_UP)
		client_cut(c);
}

bool
kept_is_resumed(struct kept *k)
{
	bool lost = k->had_session && !k->client.present;

	k->had_session = true;
	if (lost)
		ledger_fault(
		    FAULT_FORGOTTEN, clients.now, "%s %u", k->client.hooks->role, k->client.index);
	return !lost;
}
