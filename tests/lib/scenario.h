/*
 * scenario.h - a whole broker, real sockets, one behaviour a file
 *
 * SCENARIO(1, 2, 4) { … } is run once for each number of workers, each time in a process of its own that has a deadline. It starts brokers in
 * directories of their own on free ports, speaks MQTT bytes to them, and fails with the place and the end of the broker's log. What it waits for
 * it waits for with a deadline (deadline_ms(), longer for sanitizer builds), never by sleeping a while.
 *
 * A broker that is stopped must not have lost a process that the scenario did not announce, nor have printed a failed must() or a sanitizer's
 * report: broker_stop() looks.
 */
#ifndef LIB_SCENARIO_H
#define LIB_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

extern const int scenario_workers[];
void scenario_run(void);
extern pid_t scenario_helper; /* a process that ends with the scenario; 0: none */
int workers(void);            /* of this run */
int scale(void);              /* SCALE, at least 1 */
int many(int n);              /* SCALE times so many; a fifth of that in sanitizer builds */
void take_minutes(int n);     /* may this run, and not the usual few */
int deadline_ms(void);

#define SCENARIO(...)                                                                              \
	const int scenario_workers[] = { __VA_ARGS__, 0 };                                         \
	void scenario_run(void)

_Noreturn void
fail_at(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define fail(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define check(cond) ((cond) ? (void)0 : fail_at(__FILE__, __LINE__, "not so: %s", #cond))

uint64_t now_ms(void);

/* Until cond holds, tried again and again; fails at the deadline. */
#define wait_for(cond)                                                                             \
	do {                                                                                       \
		uint64_t until_ = now_ms() + (uint64_t)deadline_ms();                              \
		while (!(cond)) {                                                                  \
			if (now_ms() > until_)                                                     \
				fail_at(__FILE__, __LINE__, "never came true: %s", #cond);         \
			nap();                                                                     \
		}                                                                                  \
	} while (0)
void nap(void);

/* --- broker ------------------------------------------------------------------------------ */

struct broker {
	char dir[128], bin[256];
	int port, pid;
	int deaths;           /* announced with broker_expect_death() */
	bool runs, installed; /* without --dir, see machine_own() */
};

extern struct broker broker; /* of this scenario */

/* settings: "key=value", ended by NULL. n 0: as many workers as the file says. */
#define broker_start(...)                                                                          \
	broker_start_with(workers(), (const char *[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })
void broker_start_with(int n, const char *const *settings);
/* Before the start: processes of this kind get build/lib{library}.so preloaded. */
void broker_preload(const char *kind, const char *library);
void broker_adopt(void); /* one below broker.dir that was started otherwise */
void broker_stop(void);
void broker_expect_death(void);
int broker_ctl(const char *out_file,
    const char *const
	*args); /* tbmqctl --dir DIR args…; exit code; output to the file if not NULL */
#define ctl(...) broker_ctl(NULL, (const char *[]){ __VA_ARGS__, NULL })
char *broker_ctl_text(const char *const *args); /* what it prints; borrowed until the next call */
#define ctl_text(...) broker_ctl_text((const char *[]){ __VA_ARGS__, NULL })
/* By the shell, with $DIR, $BIN and $BROKER_PORT of the broker and $CTL, which is tbmqctl --dir DIR; exit code. Output to DIR/err. */
int broker_sh(const char *commands);
int broker_pid_of(const char *title); /* 0: not there */
int broker_generation(const char *title);
bool broker_is(const char *title, const char *state); /* as status has it */
long broker_counter(const char *name);                /* of all processes */
void
broker_counter_rests(const char *name); /* until it has begun and then not changed for many polls */
void broker_kill(const char *title, int sig);
void broker_kill_all(void);   /* at once; broker_start() again then, which has another port */
void broker_wait_ready(void); /* all processes */
bool broker_log_has(const char *text);
void broker_conf(
    const char *from, const char *to); /* replaces a line of the file that contains `from` */
/* The same with what fmt makes, and a reload that has to succeed. */
void broker_reload(const char *from, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Access rules from here on: DIR/acl has this text and a reload has succeeded. */
void broker_rules(const char *text);
void clock_move(int64_t ms); /* before broker_start(): creates the clock */

/*
 * An installed broker: from here on /etc, /run, /var/lib and /var/log are the scenario's own, the executables are below /run/usr, the sample
 * file with port 0 is where it belongs, there is a user tbmq, and `broker` is that one. Without root it is a user namespace, where nobody can
 * become tbmq, or it is refused, as some systems do, and all is as before.
 */
enum machine { MACHINE_NONE, MACHINE_OF_ROOT, MACHINE_WITH_USERS };
enum machine machine_own(void);

/*
 * tbmq-torture with a broker of its own in broker.dir, which has these settings ("--set key=value …"); its exit
 * code. What it prints goes to DIR/torture and is shown.
 */
int torture(const char *settings, const char *options);

/* --- client ------------------------------------------------------------------------------ */

struct mq {
	int fd, version;
	uint8_t buf[262144];
	size_t len;
	uint16_t id;
	/* of the CONNACK */
	int present, reason;
	char assigned[128];
};

struct mq_opts {
	int version; /* 5 unless set: 3, 4 */
	const char *id, *user, *password;
	bool resume; /* clean start 0 */
	int keep_alive;
	uint32_t expiry, max_packet;
	uint16_t receive_max, alias_max;
	const char *will_topic, *will_payload;
	int will_qos;
	bool will_retain;
	uint32_t will_delay;
	int port;         /* 0: the broker's */
	const char *from; /* an address of ours, as "127.0.0.2"; NULL: 127.0.0.1 */
	const char *path; /* a unix socket instead of all that */
};

struct packet {
	uint8_t type, flags;
	const uint8_t *body;
	size_t len;
	/* PUBLISH */
	char topic[65536];
	const uint8_t *payload;
	size_t payload_len;
	uint16_t id; /* of acks too */
	int qos, reason;
	bool dup, retain;
	const uint8_t *props;
	size_t props_len;
};

struct mq *mq_open(int port);                 /* a socket without CONNECT */
struct mq *mq_open_unix(const char *path);    /* likewise */
struct mq *mq_connect_with(struct mq_opts o); /* and checks for success */
struct mq *mq_try(struct mq_opts o); /* whatever the CONNACK says; reason -1: closed without one */
#define mq_connect(...) mq_connect_with((struct mq_opts){ __VA_ARGS__ })
void mq_close(struct mq *m);                           /* the socket only, as a lost network */
void mq_disconnect(struct mq *m);                      /* DISCONNECT, then close */
struct mq *mq_on_worker(int worker, struct mq_opts o); /* connected to mqtt/worker */

void mq_bytes(struct mq *m, const void *p, size_t len);
void mq_hex(struct mq *m, const char *hex);
bool mq_read(struct mq *m, struct packet *out,
    int ms); /* false: nothing came in that time, or closed (m->fd < 0 then) */
struct packet mq_need(struct mq *m, int type); /* the next packet, of this type */
void mq_need_close(struct mq *m);              /* whatever comes first */
void mq_quiet(struct mq *m);                   /* a PINGREQ's answer is the next that comes */
/* waits for the acknowledgement; answers its reason code. props: encoded, may be NULL */
int mq_publish(struct mq *m, const char *topic, const char *payload, int qos, bool retain);
uint16_t mq_send_publish(struct mq *m, const char *topic, const void *payload, size_t len, int qos,
    bool retain, const char *props_hex);
int mq_subscribe(struct mq *m, const char *filter, int options); /* reason code of the SUBACK */
int mq_subscribe_id(struct mq *m, const char *filter, int options, int id);
int mq_unsubscribe(struct mq *m, const char *filter);
void mq_ack(struct mq *m, int type, uint16_t id, int reason);
/* The next PUBLISH, with this topic and payload; acknowledged as its QoS wants. */
struct packet mq_need_publish(struct mq *m, const char *topic, const char *payload);

#endif
