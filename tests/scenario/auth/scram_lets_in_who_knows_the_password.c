#include "tests/lib/scenario.h"
#include "tests/lib/scram.h"

#define MADE "--iterations 4096 >$DIR/out 2>&1"

static int
answer_of(struct scram s, const char *id, const char *connect_user)
{
	int reason;
	struct wire *w = scram_connect(
	    broker.port, &s, (struct wire_connect){ .id = id, .user = connect_user }, &reason);

	wire_close(w);
	return reason;
}

static int
answer(const char *method, const char *user, const char *password)
{
	return answer_of(
	    (struct scram){ .method = method, .user = user, .password = password }, "c", NULL);
}

/* A first message that no client of ours would make. */
static int
answer_to(const char *method, struct span data)
{
	struct wire *w = wire_open("127.0.0.1", broker.port, 5);
	struct span props = wire_props("1s1b", AUTH_METHOD, method, AUTH_DATA, data);
	struct wire_packet k;
	int reason = -1;

	wire_send(w, wire_make_connect(5, &(struct wire_connect){ .id = "c", .props = props }));
	if (wire_read(w, deadline_ms(), &k) == WIRE_PACKET)
		reason = k.bad != NULL ? -2 : k.reason;
	wire_close(w);
	return reason;
}

static void
messages_are_looked_at(void)
{
	static char much[5000];
	char first[6000];

	memset(much, 'x', sizeof(much) - 1);
	snprintf(first, sizeof(first), "n,,n=anna,r=%s", much);
	check(answer_to("SCRAM-SHA-256", span_str("n,,n=anna,r=abc")) == 0x18);
	check(answer_to("SCRAM-SHA-256", span_str("p=tls-unique,,n=anna,r=abc")) == 0x87);
	check(answer_to("SCRAM-SHA-256", span_str("n,,r=abc,n=anna")) == 0x87);
	check(answer_to("SCRAM-SHA-256", span_str("")) == 0x87);
	check(answer_to("SCRAM-SHA-256", span_str(first)) == 0x87);
	check(answer_to("SCRAM-SHA-1", span_str("n,,n=anna,r=abc")) == 0x8c);
	check(answer_to("SCRAM-SHA-256-PLUS", span_str("n,,n=anna,r=abc")) == 0x8c);
	check(answer_to("", span_str("n,,n=anna,r=abc")) == 0x8c);
	check(answer_to(much, span_str("n,,n=anna,r=abc")) == 0x8c);
}

static int
plain(const char *user, const char *password)
{
	struct mq *m = mq_try((struct mq_opts){ .id = "p", .user = user, .password = password });
	int reason = m->reason;

	mq_close(m);
	return reason;
}

SCENARIO(1, 4)
{
	static const char *const method[] = { "SCRAM-SHA-256", "SCRAM-SHA-512" };
	struct scram anna = { .method = method[0], .user = "anna", .password = "secret" };
	struct wire *w;

	broker_start("listener.default.allow_anonymous=false");
	broker_reload("authentication", "authentication = \"basic, scram\";");
	check(broker_sh("echo secret | $CTL auth add anna --scram --groups a,b " MADE) == 0);
	check(broker_sh("echo secret | $CTL auth add plain --cost 10 " MADE) == 0);
	check(broker_sh("echo both | $CTL auth add both --cost 10 " MADE) == 0);
	check(broker_sh("echo other | $CTL auth passwd both --scram " MADE) == 0);
	check(broker_sh("echo gate | $CTL auth add gate --user anna --client gate --scram " MADE) ==
	    0);
	check(broker_sh("echo odd | $CTL auth add odd --user 'a,b=c' --scram " MADE) == 0);
	check(broker_sh("echo x | $CTL auth add device --client device --scram " MADE) == 1);
	check(
	    broker_sh("echo x | $CTL auth add few --scram --iterations 4095 >$DIR/out 2>&1") == 2);
	for (int i = 0; i < 2; i++) {
		check(answer(method[i], "anna", "secret") == 0);
		check(answer(method[i], "anna", "Secret") == 0x87);
		check(answer(method[i], "anna", "") == 0x87);
		check(answer(method[i], "nobody", "secret") == 0x87);
		check(answer(method[i], "plain", "secret") == 0x87);
		check(answer(method[i], "both", "other") == 0);
		check(answer(method[i], "both", "both") == 0x87);
		check(answer(method[i], "a=2Cb=3Dc", "odd") == 0);
	}
	/* The keys of the identifier come before those of the user name. */
	check(answer_of((struct scram){ .method = method[0], .user = "anna", .password = "gate" },
		  "gate", NULL) == 0);
	check(answer_of(anna, "gate", NULL) == 0x87);
	/* Who says that it could bind channels is right that we can't. */
	check(answer_of((struct scram){ .method = method[0],
			    .user = "anna",
			    .password = "secret",
			    .header = "y,a=anna," },
		  "c", NULL) == 0);
	/* A user name beside it is the same. */
	check(answer_of(anna, "c", "anna") == 0);
	check(answer_of(anna, "c", "plain") == 0x87);
	messages_are_looked_at();
	/* Keys are no password, and none needed is not meant by having them only. */
	check(plain("anna", "secret") == 0x86 && plain("anna", NULL) == 0x86);
	check(plain("both", "both") == 0 && plain("both", "other") == 0x86);
	/* Who it is is known from then on. */
	w = scram_connect(broker.port, &anna, (struct wire_connect){ .id = "c" }, NULL);
	check(w != NULL);
	check(broker_sh("$CTL --json client list | grep -q '\"user_name\": *\"anna\"'") == 0);
	wire_close(w);
	/* Also to who has blocked it. */
	check(ctl("block", "add", "--user", "anna") == 0);
	check(
	    answer(method[0], "anna", "secret") == 0x8a && answer(method[0], "both", "other") == 0);
	check(ctl("block", "remove", "--user", "anna") == 0);
	/* They travel in files. */
	check(broker_sh("$CTL auth export >$DIR/all && $CTL auth remove anna && "
			"$CTL auth import $DIR/all --replace") == 0);
	check(answer(method[1], "anna", "secret") == 0);
	check(broker_sh("$CTL auth show anna | grep -q 'has_scram.*true' && "
			"! $CTL --json auth show anna | grep SCRAM-") == 0);
	broker_reload("authentication", "authentication = \"basic\";");
	check(answer(method[0], "anna", "secret") == 0x8c);
	check(!broker_log_has("secret"));
	broker_stop();
	wire_forget();
}
