#include "worker/mqtt/farewell.h"

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "worker/mqtt/accept.h"
#include "worker/mqtt/conn.h"
#include "worker/mqtt/gone.h"

#define STEP_MS 10   /* between two looks at whose turn it is to be sent away */
#define STOP_MS 5000 /* for peers to see what our clients had published; the master waits longer */

static struct {
	bool draining, stopping;
	struct msg_drain how;
	uint32_t handle; /* next to be sent away */
	uint64_t at_ms, deadline_ms;
	struct timer timer; /* the loop turns while there is somebody to send away */
	double due;
	struct mesh_mark mark;
} the;

/* 3.14.2.2.5: clients of MQTT 5 are told where to go. */
static void
send_away(struct conn *c)
{
	uint8_t props[300], packet[320];
	struct wr w = wr_of(props, sizeof(props));

	if (c->state != CONN_OPEN || c->version != MQTT_5 || the.how.server_reference[0] == '\0') {
		conn_end(c, CNT_ends__drain, the.how.reason, "this server is being emptied");
		return;
	}
	wr_prop_str(&w, PROP_SERVER_REFERENCE, span_str(the.how.server_reference));
	conn_send(c, packet,
	    disconnect_encode(
		the.how.reason, span_of(props, (size_t)(w.p - props)), packet, sizeof(packet)));
	conn_gone(c, CNT_ends__drain, the.how.reason, true);
}

static void
on_timer(struct timer *t)
{
	timer_set(loop_timers(self.loop), t, clock_ms() + STEP_MS);
}

/* How many may be sent away by now. */
static void
earn(void)
{
	uint64_t now = clock_ms();

	the.due += (double)(now - the.at_ms) * the.how.rate_milli / 1e6;
	the.at_ms = now;
}

void
farewell_drain(const struct msg_drain *d)
{
	if (!the.draining || d->kick != the.how.kick)
		log_notice("farewell: draining clients=%zu kick=%u rate=%.3f", conn_count(),
		    d->kick, d->rate_milli / 1000.0);
	accept_stop();
	if (the.how.kick)
		earn(); /* at the rate of until now */
	the.draining = true;
	the.how = *d;
	the.how.server_reference[sizeof(the.how.server_reference) - 1] = '\0';
	the.at_ms = clock_ms();
	if (the.timer.fn == NULL)
		timer_init(&the.timer, on_timer);
	if (d->kick)
		timer_set(loop_timers(self.loop), &the.timer, clock_ms() + STEP_MS);
}

void
farewell_stop(void)
{
	uint32_t handle = 0;
	struct conn *c;

	accept_stop();
	while ((c = conn_next(&handle)) != NULL)
		conn_end(c, CNT_ends__shutdown, MQTT_SERVER_SHUTTING_DOWN,
		    "the server is shutting down");
	the.stopping = true;
	the.deadline_ms = clock_ms() + STOP_MS;
	mesh_mark(self.mesh, &the.mark);
}

bool
farewell_turn(void)
{
	if (the.stopping) {
		if ((!gone_is_waiting() && mesh_is_consumed(self.mesh, &the.mark)) ||
		    clock_ms() >= the.deadline_ms) {
			child_exit(0);
			return false;
		}
		return true;
	}
	if (!the.draining)
		return false;
	if (conn_count() == 0 && !gone_is_waiting()) {
		child_send(IPC_LEFT, &(struct msg_none){ 0 }, sizeof(struct msg_none));
		child_exit(0);
		return false;
	}
	if (the.how.kick) {
		earn();
		while (the.due >= 1 || the.how.rate_milli == 0) {
			struct conn *c = conn_next(&the.handle);

			if (c == NULL) {
				the.handle = 0; /* some may have been connecting */
				the.due = 0;
				break;
			}
			if (c->state == CONN_ENDED || c->state == CONN_GHOST)
				continue;
			the.due -= 1;
			send_away(c);
		}
	}
	return false;
}
