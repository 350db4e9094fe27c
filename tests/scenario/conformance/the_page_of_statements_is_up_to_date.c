#include "tests/lib/scenario.h"

/* It also has each statement's check or reason, else there is no page. `make statements` writes it. */
SCENARIO(1)
{
	check(broker_sh("$BIN/tbmq-conformance --coverage >$DIR/page && "
			"diff tests/conformance/COVERAGE.md $DIR/page") == 0);
}
