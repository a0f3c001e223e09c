package report

import (
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// figure is a plot.
type figure struct {
	name, title string // of the file, and of the plot
	x, y        string // what the axes are
	logX, logY  bool
	at          []float64 // ticks of the x axis, if it is not to choose by itself
	lines       []line
}

// line is one of a figure's.
type line struct {
	name   string
	points plotter.XYs
}

// palette is told apart by all, and in print.
var palette = []color.Color{
	color.RGBA{R: 0x88, G: 0x88, B: 0x88, A: 0xff}, color.RGBA{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff}, color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff},
	color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff},
}

// The size of the plots.
const (
	width  = 16 * vg.Centimeter
	height = 8 * vg.Centimeter
)

func (f *figure) save(file string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = f.title, f.x, f.y
	p.BackgroundColor = color.White
	p.Legend.Top, p.Legend.XOffs, p.Legend.Padding = true, -vg.Points(6), vg.Points(1)
	p.Add(plotter.NewGrid())
	if f.logX {
		p.X.Scale = plot.LogScale{}
	}
	if f.logY {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	} else {
		p.Y.Min = 0
	}
	var ticks []plot.Tick
	for _, v := range f.at {
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', -1, 64)})
	}
	if ticks != nil {
		p.X.Tick.Marker = plot.ConstantTicks(ticks)
	}
	for i, l := range f.lines {
		line, err := plotter.NewLine(l.points)
		if err != nil {
			return err
		}
		line.Color, line.Width = palette[i%len(palette)], vg.Points(1.5)
		p.Add(line)
		if len(l.points) < 20 {
			dots, err := plotter.NewScatter(l.points)
			if err != nil {
				return err
			}
			dots.Color, dots.Radius, dots.Shape = line.Color, vg.Points(2.5), draw.CircleGlyph{}
			p.Add(dots)
		}
		if l.name != "" {
			p.Legend.Add(l.name, line)
		}
	}
	if p.Y.Max <= p.Y.Min || math.IsInf(p.Y.Max, 0) {
		p.Y.Max = p.Y.Min + 1
	}
	if f.logY { // room for the legend
		p.Y.Max *= 4
	} else {
		p.Y.Max *= 1.35
	}
	return p.Save(width, height, file)
}
