/* An administrator's request, and a line of what tbmqctl could get. */
#include "shared/base/must.h"
#include "shared/child/request.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct request r;
	const char *why = NULL;
	double n;

	if (request_parse((const char *)data, size, &r, &why) != 0) {
		must(why != NULL);
		return 0;
	}
	must(r.verb != NULL && r.resource != NULL && r.after != NULL && r.limit >= 1 &&
	    r.limit <= REQUEST_LIMIT_MAX);
	(void)request_str(&r, "client_id");
	(void)request_num(&r, "rate", &n);
	request_fini(&r);
	return 0;
}
