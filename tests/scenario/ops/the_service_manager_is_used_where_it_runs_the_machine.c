#include "tests/lib/scenario.h"

/* A systemctl that writes down what it was asked for, and does it. */
static void
fake_systemctl(void)
{
	check(broker_sh("mkdir /run/fake && cat >/run/fake/systemctl <<END\n"
			"#!/bin/sh\n"
			"echo \"\\$@\" >>$DIR/asked\n"
			"test -e $DIR/broken && exit 5\n"
			"case \\$1 in\n"
			"start) /run/usr/sbin/tbmqd --set user= ;;\n"
			"stop) p=\\$(cat /run/tbmq/tbmqd.pid) && kill \\$p &&\n"
			"while test -e /run/tbmq/tbmqd.pid; do sleep 0.05; done ;;\n"
			"esac\n"
			"END\n"
			"chmod 755 /run/fake/systemctl; touch $DIR/asked") == 0);
}

/* With the fake one before all others. */
static int
with_fake(const char *commands)
{
	char text[600];

	snprintf(text, sizeof(text), "PATH=/run/fake:$PATH\n%s", commands);
	return broker_sh(text);
}

SCENARIO(1)
{
	if (machine_own() == MACHINE_NONE) {
		/* Nothing can be installed: the private one at least never asks for a service. */
		broker_start();
		return;
	}
	fake_systemctl();
	check(broker_sh("mkdir -p /etc/systemd/system && touch /etc/systemd/system/tbmq.service") ==
	    0);
	/* The unit is there, as in a container, but systemd isn't. */
	check(with_fake("$CTL start --set user= && $CTL stop && test ! -s $DIR/asked") == 0);

	check(broker_sh("mkdir -p /run/systemd/system") == 0);
	check(with_fake("$CTL start | grep ' runs: pid '") == 0);
	check(with_fake("$CTL start") == 1);
	check(with_fake("$CTL restart && $CTL stop") == 0);
	check(with_fake("$CTL status") == 3);
	check(broker_sh("echo start stop start stop | tr ' ' '\\n' | sed 's/$/ tbmq.service/' |"
			" cmp - $DIR/asked") == 0);
	check(with_fake(
		  "$CTL start --port 0; test $? = 2 && $CTL start --port 0 2>&1 |"
		  " grep 'without options: set them in " TBMQ_SYSCONFDIR "/tbmq/tbmq.conf'") == 0);
	check(with_fake("touch $DIR/broken; $CTL start") == 1);
	check(with_fake("$CTL start 2>&1 |"
			" grep 'journalctl -u tbmq.service'") == 0);

	/* A private instance has nothing to do with it. */
	broker.installed = false;
	check(with_fake(
		  "rm $DIR/asked; $CTL start --port 0 && $CTL stop && ! test -e $DIR/asked") == 0);
}
