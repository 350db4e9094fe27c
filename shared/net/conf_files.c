#include "shared/net/conf_files.h"

#include "shared/conf/rules.h"
#include "shared/net/auth_files.h"
#include "shared/net/forwarded.h"
#include "shared/net/tls.h"

int
conf_files_check(const struct conf *c, struct conf_error *err)
{
	int bad = forwarded_check(c, err);

	if (bad == 0)
		bad = rules_check(c, err);
	if (bad == 0)
		bad = auth_files_check(c, err);
	return bad != 0 ? bad : tls_check(c, err); /* the last: it warns, too */
}
