package cluster

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"sigs.k8s.io/e2e-framework/pkg/env"
)

var (
	imagesFlag  = flag.String("e2e.images", "", "`folder` with the image archives to load; without it nothing is tested")
	versionFlag = flag.String("e2e.version", "", "`tag` of the images that are installed first")
	nextFlag    = flag.String("e2e.next", "", "`tag` of the images that are upgraded to")
	helmFlag    = flag.String("e2e.helm", "helm", "helm `program`")
	chartFlag   = flag.String("e2e.chart", "../../../charts/hookbay", "`chart` to install")
	rateFlag    = flag.Int("e2e.rate", 200, "callbacks a second, for each of the two endpoints")
	inTimeFlag  = flag.Bool("e2e.in-time", false, "an answer after the platform's time limit is a failed callback, too: for machines that have nothing else to do")
	awayFlag    = flag.Duration("e2e.away", time.Minute, "how long the target is away")
	keepFlag    = flag.Bool("e2e.keep", false, "leave everything in the cluster, to look at it")

	ingressClassFlag   = flag.String("e2e.ingress-class", "", "IngressClass that is served in the cluster; without it the Ingress is only made")
	ingressAddressFlag = flag.String("e2e.ingress-address", "", "`host:port` where its controller takes HTTPS, as pods reach it")
	gatewayClassFlag   = flag.String("e2e.gateway-class", "", "GatewayClass that is served in the cluster; without it no HTTPRoute is tested")
	gatewayAddressFlag = flag.String("e2e.gateway-address", "", "`host:port` where a Gateway of it takes HTTPS, as pods reach it")
	gatewayPortFlag    = flag.Int("e2e.gateway-port", 443, "`port` of the Gateway's HTTPS listener")
)

// The hooks: what only the cluster's owner knows.
const (
	// loadImageHook is a command that is called with image archives, and brings them to every node.
	loadImageHook = "E2E_LOAD_IMAGE"
	// killNodeHook is a command that is called with a node's name, and ends that node at once and for good. Without it that is not tested.
	killNodeHook = "E2E_KILL_NODE"
)

// suite runs features. e2e-framework wants it made before the flags are read.
var suite env.Environment

func TestMain(m *testing.M) {
	var err error
	if suite, err = env.NewFromFlags(); err != nil { // which parses ours as well
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if *imagesFlag == "" {
		fmt.Fprintln(os.Stderr, "Nothing is tested: make e2e builds the images and runs this with the flags it needs.")
		os.Exit(0)
	}
	c := &cluster{lazada: lazadaSample(), tencent: tencentSample()}
	suite.Setup(c.connect, c.loadImages, c.makePlaces, c.install)
	suite.Finish(c.remove)
	tested = c
	os.Exit(suite.Run(m))
}

// tested is the cluster that TestMain has set up.
var tested *cluster

// TestHookbay is the list of what is promised.
func TestHookbay(t *testing.T) {
	c := tested
	suite.Test(t,
		c.installed(),

		c.noCallbackFailsWhile("receivers and managers are upgraded", c.upgrade),
		c.noCallbackFailsWhile("the release is rolled back", c.rollBack),
		c.noCallbackFailsWhile("all managers are killed", c.killManagers),
		c.noCallbackFailsWhile("there is no manager", c.doWithoutManager),
		c.noCallbackFailsWhile("a credential is rotated", c.rotateCredential),
		c.noCallbackFailsWhile("the spec changes", c.changeSpec),
		c.noCallbackFailsWhile("a receiver's pod is deleted", c.deletePod),
		c.noCallbackFailsWhile("a node is drained", c.drainNode),
		c.noCallbackFailsWhile("receivers are scaled from 2 to 4 and back", c.scaleOutAndIn),
		c.noCallbackFailsWhile("Hookbay is uninstalled and installed again", c.reinstall),
		c.noCallbackFailsWhile("the target is away", c.targetAway),
		c.streamScaled(),
		c.streamAutoscaled(),
		c.receiverKilled(),
		c.volumeFull(),
		c.rights(),
		c.exposed(),

		c.nodeLost(), // at the end: the node does not come back
	)
}
