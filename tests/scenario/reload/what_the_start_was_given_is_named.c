#include "tests/lib/scenario.h"

#define HAS(what, ...) (strstr(ctl_text(__VA_ARGS__), what) != NULL)

/* A key that an option or the environment has set does not follow the file, and that is said. */
SCENARIO(1)
{
	check(broker_sh("TBMQ_DATA_DIR=$DIR/store $CTL start --port 0 --workers 2 --set "
			"inflight_max=7 --set listener.default.mqtt_31=false") == 0);
	broker_adopt();
	check(HAS("workers = 2    # changed by --workers of the start", "config", "show"));
	check(HAS("store\"    # changed by TBMQ_DATA_DIR of the start", "config", "show"));
	check(HAS("default.mqtt_31 = false    # changed by --set of", "config", "show"));
	check(HAS("default.port = 0    # changed by --port of", "config", "show"));
	broker_conf("workers =", "workers = 1;");
	broker_conf("#max_qos =", "max_qos = 1;");
	check(HAS("workers: 1 in the file, but 2 by --workers of the start", "config", "diff"));
	check(HAS("workers: 1 in the file, but 2 by --workers of the start", "reload"));
	check(HAS("\"changes\":[],\"overridden\":[", "reload", "--json"));
	check(!HAS("max_qos", "reload"));
	check(HAS("max_qos = 1    # changed\n", "config", "show"));
}
