#include "tests/lib/scenario.h"

/* Where acknowledgements don't wait for the disk, the tool finds what a power cut costs: messages, or that they had come. */
SCENARIO(2)
{
	char options[200];

	/*
	 * Of a few cuts on a slow machine none may come at a bad time. A last message that is lost is waited for, too.
	 */
	snprintf(options, sizeof(options),
	    "--rounds 16 --kill power --store $DIR/data --members 0 "
	    "--deadline %d",
	    deadline_ms() / 3000);
	check(torture("--set queue_max_messages=0 --set queue_max_bytes=0 --set durability=process",
		  options) == 1);
	check(
	    broker_sh(
		"grep -Eq '^(lost: .* it had been acknowledged|QoS 2 twice: )' $DIR/torture") == 0);
}
