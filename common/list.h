/*
 * list.h - an intrusive, circular, doubly linked list.
 *
 *   struct list: head <-> first <-> ... <-> last <-> head
 *
 * A node is embedded in what it links; LIST_ENTRY() gets back to it. A node that
 * is in no list points to itself, so list_remove() may be called twice.
 * Threads: whoever owns the list locks.
 */
#ifndef COMMON_LIST_H
#define COMMON_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *previous;
};

#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* `node` may be removed and freed inside the loop. */
#define LIST_FOREACH(node, head)                                                                   \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);              \
         node = node##_next, node##_next = node->next)

static inline void list_init(struct list *l)
{
    l->next = l;
    l->previous = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_append(struct list *l, struct list *node)
{
    node->previous = l->previous;
    node->next = l;
    l->previous->next = node;
    l->previous = node;
}

static inline void list_remove(struct list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}

/* The first node, taken out; NULL when there is none. */
static inline struct list *list_pop(struct list *l)
{
    struct list *node = l->next;
    if (node == l) {
        return NULL;
    }
    list_remove(node);
    return node;
}

/* Move all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_move(struct list *to, struct list *from)
{
    if (list_empty(from)) {
        return;
    }
    from->next->previous = to->previous;
    to->previous->next = from->next;
    from->previous->next = to;
    to->previous = from->previous;
    list_init(from);
}

#endif
