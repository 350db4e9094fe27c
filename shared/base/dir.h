/*
 * dir.h - what a directory has on the disk, and nothing in it
 *
 * A file that was synced can still be lost with its name: that is for whoever made, renamed or removed
 * it to bring to the disk.
 *
 * Runs in: anybody; blocks as the disk does.
 * Errors:  -errno.
 */
#ifndef BASE_DIR_H
#define BASE_DIR_H

int dir_sync(const char *path);        /* the names in it are on the disk */
int dir_sync_parent(const char *path); /* the name of this directory is */
/* Removes the files in it; those that can't be, as directories, stay. One that isn't there is empty. */
void dir_empty(const char *path);

#endif
