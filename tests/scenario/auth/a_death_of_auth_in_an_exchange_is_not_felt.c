/*
 * auth remembers nothing between two steps: its successor takes the next. Nor does anything stay of those whose worker dies.
 */
#include <signal.h>

#include "tests/lib/scenario.h"
#include "tests/lib/scram.h"

#define CLIENTS 20

static struct scram s[CLIENTS];
static struct wire *w[CLIENTS];

static struct wire_packet
need(struct wire *from, enum wire_type type, int reason)
{
	struct wire_packet k;

	if (wire_read(from, deadline_ms(), &k) != WIRE_PACKET || k.bad != NULL || k.type != type ||
	    k.reason != reason)
		fail("%s with %d did not come", wire_type_name[type], reason);
	return k;
}

static void
next_step(int i, struct span data)
{
	wire_send(w[i], scram_auth(&s[i], 0x18, scram_final(&s[i], data)));
}

static void
begin(struct span data[CLIENTS])
{
	char id[16];

	for (int i = 0; i < CLIENTS; i++) {
		struct wire_packet k;

		snprintf(id, sizeof(id), "c%d", i);
		s[i] = (struct scram){ .method = i % 2 == 1 ? "SCRAM-SHA-512" : "SCRAM-SHA-256",
			.user = "anna",
			.password = i % 4 == 0 ? "wrong" : "secret" };
		w[i] = scram_begin(broker.port, &s[i], (struct wire_connect){ .id = id }, &k);
		check(k.type == AUTH && k.reason == 0x18);
		data[i] = wire_find(&k, AUTH_DATA)->text;
	}
}

SCENARIO(1, 4)
{
	struct span data[CLIENTS];
	struct wire_packet k;

	broker_start("authentication=scram");
	check(broker_sh("echo secret | $CTL auth add anna --scram --iterations 4096") == 0);
	/* Between the steps, and while the second waits. */
	begin(data);
	broker_kill("auth/0", SIGKILL);
	for (int i = 0; i < CLIENTS; i += 2)
		next_step(i, data[i]);
	broker_wait_ready();
	kill(broker_pid_of("auth/0"), SIGSTOP);
	for (int i = 1; i < CLIENTS; i += 2)
		next_step(i, data[i]);
	broker_kill("auth/0", SIGKILL);
	for (int i = 0; i < CLIENTS; i++)
		need(w[i], CONNACK, i % 4 == 0 ? 0x87 : 0);
	broker_wait_ready();
	/* The same for those who are connected. */
	kill(broker_pid_of("auth/0"), SIGSTOP);
	for (int i = 1; i < CLIENTS; i += 2)
		wire_send(w[i], scram_auth(&s[i], 0x19, scram_first(&s[i])));
	broker_kill("auth/0", SIGKILL);
	for (int i = 1; i < CLIENTS; i += 2) {
		k = need(w[i], AUTH, 0x18);
		data[i] = wire_find(&k, AUTH_DATA)->text;
	}
	broker_wait_ready();
	broker_kill("auth/0", SIGKILL);
	for (int i = 1; i < CLIENTS; i += 2) {
		next_step(i, data[i]);
		need(w[i], AUTH, 0);
	}
	for (int i = 0; i < CLIENTS; i++)
		wire_close(w[i]);
	wait_for(broker_counter("connections") == 0);
	/* A worker's death ends the exchanges of its clients, who begin again elsewhere. */
	broker_wait_ready();
	begin(data);
	broker_kill("mqtt/0", SIGKILL);
	for (int i = 0; i < CLIENTS; i++) {
		next_step(i, data[i]);
		if (wire_read(w[i], deadline_ms(), &k) == WIRE_PACKET)
			check(workers() > 1 && k.type == CONNACK &&
			    k.reason == (i % 4 == 0 ? 0x87 : 0));
		wire_close(w[i]);
	}
	broker_wait_ready();
	w[1] = scram_connect(broker.port, &s[1], (struct wire_connect){ .id = "c1" }, NULL);
	check(w[1] != NULL);
	wire_close(w[1]);
	broker_stop();
	wire_forget();
}
