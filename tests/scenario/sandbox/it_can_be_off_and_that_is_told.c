#include "tests/lib/scenario.h"

static bool
is_filtered(const char *title)
{
	char commands[80];

	snprintf(commands, sizeof(commands), "grep '^Seccomp:.*2' /proc/%d/status",
	    broker_pid_of(title));
	return broker_sh(commands) == 0;
}

/* Cores are a matter of the limit then, as with any other program. */
static bool
may_leave_cores(const char *title)
{
	char commands[80];

	snprintf(commands, sizeof(commands), "test $(stat -c %%u /proc/%d/maps) = $(id -u)",
	    broker_pid_of(title));
	return broker_sh(commands) == 0;
}

SCENARIO(1)
{
	broker_start("sandbox=false");
	check(!is_filtered("mqtt/0") && !is_filtered("persist/0"));
	check(may_leave_cores("mqtt/0"));
	check(broker_log_has("warning master: main: sandbox is off"));
	check(strstr(ctl_text("status"), "\nsandbox: off\n") != NULL);
	check(strstr(ctl_text("status", "--json"), "\"sandbox\":false") != NULL);
	broker_stop();

	broker_start();
	check(is_filtered("mqtt/0") && is_filtered("persist/0"));
	check(strstr(ctl_text("status"), "sandbox") == NULL);
	broker_conf("sandbox", "sandbox = false;");
	check(broker_sh("$CTL reload | grep 'sandbox: true -> false (after restart)'") == 0);
	check(is_filtered("mqtt/0"));
}
