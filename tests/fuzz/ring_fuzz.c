/* A ring whose writer is hostile: the input is its head and data. The reader takes what is well formed and never looks beyond. */
#include <stdlib.h>

#include "shared/base/must.h"
#include "shared/ipc/rec.h"
#include "shared/ipc/ring.h"

#define CAP 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ring_head *ring = aligned_alloc(64, sizeof(*ring) + CAP);
	_Atomic uint64_t tail = 0;
	struct ring_rx rx;
	struct ring_rec rec;
	struct span body, groups;
	uint64_t head = 0;
	size_t n = size > 8 ? size - 8 : 0;

	must(ring != NULL);
	ring_init(ring, CAP);
	memset(ring->data, 0, CAP);
	if (size >= 8)
		memcpy(&head, data, 8);
	memcpy(ring->data, data + (size - n), n < CAP ? n : CAP);
	ring_rx_open(&rx, ring, CAP, &tail, 0);
	atomic_store(&ring->head, head);
	for (int i = 0; i < 1000 && ring_next(&rx, &rec, &body) == 1; i++) {
		struct rec_msg m;
		struct msg_view v;

		must(body.p >= ring->data && body.p + body.len <= ring->data + CAP);
		if (rec_may(rec.type, ~0u, ~0u, body) && rec_take(&body, &m, sizeof(m)))
			(void)rec_msg_parse(&m, body, &v, &groups);
		ring_release(&rx, rx.read);
	}
	free(ring);
	return 0;
}
