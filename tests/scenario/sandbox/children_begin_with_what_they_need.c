#include "tests/lib/scenario.h"

/* In place of each a script that says what it has before it becomes the real one. */
static void
list_before_start(const char *kind)
{
	char commands[400];

	snprintf(commands, sizeof(commands),
	    "cd $DIR/bin && mv tbmq-%s %s\n"
	    "echo '#!/bin/bash' >tbmq-%s\n"
	    "echo 'ls -v /proc/$$/fd >'$DIR/%s.'$$' >>tbmq-%s\n"
	    "echo exec $DIR/bin/%s '\"$@\"' >>tbmq-%s\n"
	    "chmod +x tbmq-%s",
	    kind, kind, kind, kind, kind, kind, kind, kind);
	check(broker_sh(commands) == 0);
}

SCENARIO(2)
{
	check(broker_sh("mkdir $DIR/bin && cp $BIN/tbmq* $DIR/bin") == 0);
	list_before_start("mqtt");
	list_before_start("persist");
	snprintf(broker.bin, sizeof(broker.bin), "%s/bin", broker.dir);
	/* With whatever the master's starter had open. */
	check(broker_sh("exec 7</dev/null 9</dev/null; $CTL start --port 0 --workers 2") == 0);
	broker_adopt();
	/* 255 is the shell's own: the script. */
	check(broker_sh("test $(ls $DIR/mqtt.* | wc -l) = 2\n"
			"for f in $DIR/mqtt.* $DIR/persist.*; do\n"
			"test \"$(echo $(cat $f))\" = '0 1 2 3 4 255' || exit; done") == 0);
}
