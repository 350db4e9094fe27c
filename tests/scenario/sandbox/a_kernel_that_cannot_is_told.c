#include "tests/lib/scenario.h"

SCENARIO(1)
{
	char bin[sizeof(broker.bin)];

	check(broker_sh("true") == 0); /* the directory is there */
	strcpy(bin, broker.bin);
	broker_preload("mqtt", "oldkernel");
	for (int i = 0; i < 4; i++) { /* whichever process comes to it first */
		check(broker_sh("$CTL start --port 0 2>&1 | grep 'takes no filter of system "
				"calls.*sandbox = false'") == 0);
		wait_for(ctl("status") == 3); /* it has said so before it ends */
	}
	broker_start("sandbox=false");
	broker_stop();
	check(broker_sh("rm -r $DIR/bin") == 0);
	strcpy(broker.bin, bin);

	broker_preload("persist", "oldkernel");
	broker_start();
	check(broker_log_has("notice persist/0: sandbox: this kernel has no Landlock"));
	mq_disconnect(mq_connect(.id = "m"));
}
