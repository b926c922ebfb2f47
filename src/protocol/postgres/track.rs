//! stub
use super::codec::message::read::Status;
#[derive(Debug)]
pub struct Tracker{n:i64,open:bool,status:Status}
impl Tracker{
pub fn new()->Self{Self{n:0,open:false,status:Status::Idle}}
pub fn client(&mut self,tag:u8){match tag{b'Q'|b'F'|b'S'=>{self.n+=1;self.open=false}b'd'|b'c'|b'f'=>{},_=>self.open=true}}
pub fn server(&mut self,tag:u8,b:Option<u8>){if tag==b'Z'{self.n-=1;self.status=b.and_then(Status::from_byte).unwrap_or_default();}}
pub fn status(&self)->Status{self.status}
pub fn is_quiet(&self)->bool{self.n==0&&!self.open}
pub fn is_idle(&self)->bool{self.is_quiet()&&self.status==Status::Idle}
pub fn is_copying_in(&self)->bool{false}
}
