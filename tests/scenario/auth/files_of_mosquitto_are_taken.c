/*
 * As mosquitto_passwd writes them, and with what is wrong told by its line.
 */
#include "tests/lib/scenario.h"

SCENARIO(1)
{
	broker_start("authentication=basic", "listener.default.allow_anonymous=false");
	check(broker_sh(
		  "mosquitto_passwd -c -b $DIR/one anna secret && mosquitto_passwd -b $DIR/one bob "
		  "'p a:s' && mosquitto_passwd -H sha512 -c -b $DIR/two carl old && $CTL auth "
		  "import $DIR/one && $CTL auth import $DIR/two") == 0);
	check(broker_sh("mosquitto_pub -p $BROKER_PORT -u anna -P secret -t t -m x && "
			"mosquitto_pub -p $BROKER_PORT "
			"-u bob -P 'p a:s' -t t -m x && mosquitto_pub -p $BROKER_PORT -u carl -P "
			"old -t t -m "
			"x") == 0);
	check(broker_sh("mosquitto_pub -p $BROKER_PORT -u carl -P secret -t t -m x") != 0);
	check(broker_sh(
		  "printf '# users\\n\\ndora:plain\\n' >$DIR/three; $CTL auth import $DIR/three "
		  "2>$DIR/said") == 1);
	check(broker_sh("grep -q 'three:3: the password is not as mosquitto_passwd keeps it' "
			"$DIR/said") == 0);
	check(broker_sh("printf 'name,nonsense\\n' | $CTL auth import - 2>$DIR/said; grep -q -- "
			"'-:1: columns are' $DIR/said") == 0);
	check(broker_sh(
		  "printf 'name,user_name,enabled\\na,a,true\\nb,b,maybe\\n' | $CTL auth import - "
		  "2>$DIR/said; grep -q -- '-:3: enabled is neither' $DIR/said") == 0);
	check(broker_sh("$CTL auth import $DIR/nowhere 2>$DIR/said; grep -q 'cannot open' "
			"$DIR/said") == 0);
	broker_stop();
}
