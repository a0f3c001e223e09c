package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// denied says whether the system does not let the process at the files. That is no damage, and nothing is lost.
func denied(err error) bool { return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) }

// explainDenied puts what to do before an error for which nothing is wrong with the buffer itself.
func explainDenied(o Options, err error) error {
	switch {
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("the file system of %s is read-only: mount it for writing (a disk that fails is made read-only too: the kernel's log says so): %w", o.Dir, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission for the files in %s: let user %d of group %d own the directory and all that is in it, and read and write there: %w",
			o.Dir, os.Getuid(), os.Getgid(), err)
	default:
		return err
	}
}
