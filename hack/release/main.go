// Command release makes what a version of Hookbay is handed out as: container images and archives of the programs, with the licenses and the
// list of what is linked into them. The same programs and the same commit make the same bytes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const usage = `Usage:
  release images   -version V -commit C -date D -out DIR [-registry R] -image NAME=PROGRAM ...
  release archives -version V -commit C -date D -out DIR [-registry R] PROGRAMS_DIR ...
  release sums DIR

images writes DIR/NAME.tar for each static Linux program. archives writes, for each directory OS_ARCH of programs, an archive and its SBOM,
and for those of Linux the images; it runs in the root of the repository. sums writes DIR/SHA256SUMS.
`

// stamp is what everything that is made carries.
type stamp struct {
	version, commit string
	// date is the commit's: the time of the build would make each build another one.
	date time.Time
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Print(usage)
			return
		}
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("say what to make: images, archives or sums; see release -help")
	}
	switch args[0] {
	case "images":
		return makeImages(args[1:])
	case "archives":
		return makeArchives(args[1:])
	case "sums":
		if len(args) != 2 {
			return errors.New("give sums one directory")
		}
		return writeSums(args[1])
	case "help", "-h", "-help", "--help":
		return flag.ErrHelp
	default:
		return fmt.Errorf("%q is none of images, archives and sums; see release -help", args[0])
	}
}

// options are the flags that images and archives share.
type options struct {
	stamp
	out, registry string
}

func (o *options) parse(flags *flag.FlagSet, args []string) error {
	flags.SetOutput(io.Discard) // main prints errors and usage
	var date string
	flags.StringVar(&o.version, "version", "", "the version that tags and names carry")
	flags.StringVar(&o.commit, "commit", "", "the commit that the programs were built from")
	flags.StringVar(&date, "date", "", "the commit's date, RFC 3339")
	flags.StringVar(&o.out, "out", "", "the directory to write to")
	flags.StringVar(&o.registry, "registry", "ghcr.io/hookbay", "what the images' names start with")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for name, value := range map[string]string{"version": o.version, "commit": o.commit, "out": o.out} {
		if value == "" {
			return fmt.Errorf("-%s is empty: the sources must be a git repository, or make must be told VERSION=, COMMIT= and DATE=", name)
		}
	}
	var err error
	if o.date, err = time.Parse(time.RFC3339, date); err != nil {
		return fmt.Errorf("-date must be the commit's date, as 2026-01-31T12:00:00Z: %w", err)
	}
	o.date = o.date.UTC()
	return os.MkdirAll(o.out, 0o755) //nolint:gosec // to be handed out
}

func makeImages(args []string) error {
	var o options
	var images []image
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	flags.Func("image", "`NAME=PROGRAM`, an image to make; may be repeated", func(s string) error {
		name, program, ok := strings.Cut(s, "=")
		if !ok || name == "" || program == "" {
			return errors.New("write NAME=PROGRAM")
		}
		images = append(images, image{name: name, program: program})
		return nil
	})
	switch err := o.parse(flags, args); {
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("images takes flags only, not %q", flags.Arg(0))
	case len(images) == 0:
		return errors.New("say which images to make: -image NAME=PROGRAM")
	}
	for _, i := range images {
		if err := i.write(filepath.Join(o.out, i.name+".tar"), o); err != nil {
			return fmt.Errorf("make the image %s: %w", i.name, err)
		}
	}
	return nil
}

// writeFile writes a file that others may read, and leaves none that is half written.
func writeFile(path string, write func(*os.File) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644) //nolint:gosec // to be handed out
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	fmt.Println(path)
	return nil
}
