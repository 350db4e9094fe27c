/*
 * list.h - circular doubly linked list, linked through a member of the element
 *
 * Owns nothing. An element that is on no list has a member set up by list_init(), so list_del()
 * may be called twice.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define LIST_FIRST(head, type, member) container_of((head)->next, type, member)

/* The current element may be deleted in the body. */
#define LIST_FOREACH(var, tmp, head, type, member)                                                 \
	for (var = container_of((head)->next, type, member),                                       \
	    tmp = container_of(var->member.next, type, member);                                    \
	     &var->member != (head);                                                               \
	     var = tmp, tmp = container_of(tmp->member.next, type, member))

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_is_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_add(struct list *at, struct list *l) /* after `at`: at the front if it is the head */
{
	l->next = at->next;
	l->prev = at;
	at->next->prev = l;
	at->next = l;
}

static inline void
list_add_tail(struct list *head, struct list *l)
{
	list_add(head->prev, l);
}

static inline void
list_del(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

#endif
