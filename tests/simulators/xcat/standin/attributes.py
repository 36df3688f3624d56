"""Which table and column each object attribute lives in.

One line per table; `attr` alone is a column of that name, `attr=column` one
of another name.  `?name=value` at the end of a head says that the attributes
exist only when the object's attribute `name` has that value.
"""

from __future__ import annotations

import dataclasses
import functools


@dataclasses.dataclass(frozen=True)
class Home:
    """Where a value of an attribute is kept."""

    attribute: str
    table: str
    column: str
    key: str  # the column that names the object
    only_if: tuple[str, str] | None = None


NODE = """
nodelist: groups status statustime appstatus appstatustime primarysn hidden updatestatus \
 updatestatustime zonename usercomment=comments
hosts: ip hostnames otherinterfaces
mac: mac interface
nodehm: mgt power cons termserver termport conserver serialport serialspeed serialflow getmac \
 cmdmapping consoleondemand consoleenabled
noderes: xcatmaster servicenode netboot tftpserver tftpdir nfsserver monserver nfsdir installnic \
 primarynic discoverynics nimserver routenames nameservers proxydhcp syslog
nodetype: os arch profile provmethod supportedarchs nodetype
bootparams: kernel initrd kcmdline addkcmdline
chain: chain ondiscover currstate currchain
postscripts: postscripts postbootscripts
prescripts: prescripts-begin=begin prescripts-end=end
nodepos: rack unit=u chassis slot room height
vpd: serial mtm side
nics: nicips nichostnamesuffixes nichostnameprefixes nictypes niccustomscripts nicnetworks \
 nicaliases nicextraparams nicdevices nicsadapter
ipmi?mgt=ipmi: bmc bmcport bmcusername=username bmcpassword=password bmcvlantag=taggedvlan
openbmc?mgt=openbmc: bmc bmcusername=username bmcpassword=password
mp: mpa id
mp?mgt=ipmi: slotid=id
ppc?mgt=hmc: hcp id pprofile parent hwtype=nodetype
ppc: supernode sfp
zvm?mgt=zvm: hcp userid
iscsi: iscsiserver=server iscsitarget=target iscsiuserid=userid iscsipassword=passwd
servicenode: setupnameserver=nameserver setupdhcp=dhcpserver setuptftp=tftpserver \
 setupnfs=nfsserver setupconserver=conserver setupldap=ldapserver setupntp=ntpserver \
 setupftp=ftpserver setupnim=nimserver setupipforward=ipforward setupproxydhcp=proxydhcp \
 dhcpinterfaces
switch: switch switchport=port switchvlan=vlan switchinterface=interface
switches@switch?nodetype=switch: snmpusername=username snmppassword=password snmpversion \
 snmpprivacy=privacy snmpauth=auth linkports switchtype protocol
storage: osvolume storagcontroller=controller storagetype=type
hwinv: cputype cpucount memory disksize
hypervisor: hosttype=type hostinterface=interface hostmanager=mgr hostcluster=cluster
vm: vmmanager=mgr vmhost=host migrationdest vmstorage=storage vmmemory=memory vmcpus=cpus \
 vmnics=nics vmbootorder=bootorder vmmaster=master vmvncport=vncport vmtextconsole=textconsole \
 vmcluster=cluster vmothersetting=othersettings vmnicnicmodel=nicmodel
cfgmgt: cfgmgr cfgserver cfgmgtroles=roles
domain: ou domainadminuser=adminuser domainadminpassword=adminpassword authdomain domaintype=type
prodkey: productkey=key
pduoutlet: pdu
"""

OSIMAGE = """
osimage@imagename: groups profile imagetype description provmethod rootfstype nfsrootopts \
 osdistroname osupdatename cfmdir osname osvers osarch synclists postscripts postbootscripts \
 serverrole isdeletable kitcomponents environvar
linuximage@imagename?imagetype=linux: template boottarget addkcmdline pkglist pkgdir \
 otherpkglist otherpkgdir exlist postinstall rootimgdir kerneldir nodebootif otherifce netdrivers \
 kernelver krpmver permission dump crashkernelsize partitionfile driverupdatesrc \
 usercomment=comments
nimimage@imagename?imagetype=NIM: nimtype nimmethod lpp_source spot root dump configdump paging \
 resolv_conf image_data tmp home shared_home shared_root script fb_script bosinst_data \
 installp_bundle otherpkgs mksysb usercomment=comments
winimage@imagename?imagetype=windows: template installto partitionfile winpepath
"""

SIMPLE = {
    "network": """
networks@netname: net mask mgtifname gateway dhcpserver tftpserver nameservers ntpservers \
 logservers dynamicrange staticrange staticrangeincrement nodehostname ddnsdomain vlanid domain \
 mtu usercomment=comments
""",
    "policy": """
policy@priority: name host commands noderange parameters time rule usercomment=comments
""",
    "route": "routes@routename: net mask gateway ifname usercomment=comments",
    "zone": "zone@zonename: sshkeydir sshbetweennodes defaultzone usercomment=comments",
    "rack": "rack@rackname: displayname num height room usercomment=comments",
    "osdistro": "osdistro@osdistroname: basename majorversion minorversion arch type dirpaths",
    "notification": "notification@filename: tables tableops comments",
    "monitoring": "monitoring@name: nodestatmon comments disable",
}


def _parse(text: str) -> list[Home]:
    homes = []
    for line in text.strip().splitlines():
        head, _, body = line.partition(": ")
        head, _, condition = head.partition("?")
        table, _, key = head.partition("@")
        name, _, value = condition.partition("=")
        for word in body.split():
            attribute, _, column = word.partition("=")
            homes.append(
                Home(
                    attribute,
                    table,
                    column or attribute,
                    key or "node",
                    (name, value) if name else None,
                )
            )
    return homes


@functools.cache
def homes_of(kind: str) -> tuple[Home, ...]:
    """Every place of every attribute of an object type (not site, which is free)."""
    if kind in ("node", "group"):
        found = _parse(NODE)
        if kind == "group":
            found = [h for h in found if h.table != "nodelist"]
        return tuple(found)
    return tuple(_parse(OSIMAGE if kind == "osimage" else SIMPLE[kind]))


@functools.cache
def homes_by_attribute(kind: str) -> dict[str, tuple[Home, ...]]:
    found: dict[str, tuple[Home, ...]] = {}
    for home in homes_of(kind):
        found[home.attribute] = (*found.get(home.attribute, ()), home)
    return found


TYPES = ("node", "group", "site", "osimage", *SIMPLE)

NIC_ATTRIBUTES = tuple(h.attribute for h in _parse(NODE) if h.table == "nics")


def is_valid(kind: str, attribute: str) -> bool:
    if kind == "site":
        return True
    if kind == "group" and attribute in ("members", "grouptype", "wherevals"):
        return True
    if kind == "node" and attribute.startswith("nic") and "." in attribute:
        return attribute.partition(".")[0] in NIC_ATTRIBUTES
    return attribute in homes_by_attribute(kind)
